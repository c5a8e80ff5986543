#include "base/id.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define ID_HALF (ID_CONTROL_BYTES / 2) /* characters of 5 bits each */

static atomic_uint_fast64_t id_controls;
static uint64_t id_start;
static pthread_once_t id_start_once = PTHREAD_ONCE_INIT;

static void id_choose_start(void)
{
    if (getrandom(&id_start, sizeof id_start, 0) == (ssize_t)sizeof id_start)
        return;
    /* Only seen where a sandbox forbids the call: time and process differ between starts too. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    id_start =
        ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^ ((uint64_t)getpid() << 24);
}

static void id_write_half(char *out, uint64_t value)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* no I, L, O, U */

    for (int i = ID_HALF - 1; i >= 0; i--) {
        out[i] = digits[value & 31];
        value >>= 5;
    }
}

void id_make_control(char ret_id[ID_CONTROL_BYTES + 1])
{
    pthread_once(&id_start_once, id_choose_start);
    id_write_half(ret_id, id_start);
    id_write_half(ret_id + ID_HALF,
                  atomic_fetch_add_explicit(&id_controls, 1, memory_order_relaxed));
    ret_id[ID_CONTROL_BYTES] = '\0';
}
