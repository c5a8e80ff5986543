/* Whose turn it is: what a worker's iteration does besides answering sockets, mail and timers. */
#include "ingress/worker_private.h"

#define HANDSHAKES_IN_A_GO 1 /* a full handshake costs milliseconds of this thread */
#define DECISIONS_IN_A_GO 4  /* one checks a certificate chain: a millisecond */

static void idle_tick(uv_idle_t *idle)
{
    (void)idle; /* only keeps the loop from sleeping while somebody waits for a turn */
}

void worker_wake_soon(struct worker *worker)
{
    if (!worker->idle_running) {
        worker->idle_running = uv_idle_start(&worker->idle, idle_tick) == 0;
    }
}

/* Those that queue up again during their turn wait for the next iteration: others come first. */
static void take_turns(struct list_node *queue, unsigned most,
                       void (*turn)(struct connection *connection))
{
    struct list_node *last = queue->prev, *node;
    bool was_last = false;

    for (unsigned i = 0; i < most && !was_last && (node = list_pop_front(queue)) != NULL; i++) {
        was_last = node == last;
        turn(LIST_ENTRY(node, struct connection, in_turn));
    }
}

static void run_turn(struct connection *connection)
{
    connection_ready(connection, CONNECTION_READABLE);
}

void worker_handshake_turn(struct timer *timer)
{
    worker_wake_soon(LIST_ENTRY(timer, struct worker, handshake));
}

/* False: the loop may sleep until the next one's turn has come. */
static bool wait_for_turn(struct worker *worker, int64_t wait_ns, bool others)
{
    int64_t due_ms = loop_now_ms(worker->loop) + wait_ns / 1000000 + 1;

    return others || timers_start(loop_timers(worker->loop), &worker->handshake, due_ms) != 0;
}

/* True while there is something to do for the next iteration. */
static bool take_handshakes(struct worker *worker, bool others)
{
    int64_t began = clock_monotonic_ns();
    int64_t wait = share_wait_ns(&worker->share, began, others);

    if (wait > 0) {
        return wait_for_turn(worker, wait, others);
    }
    take_turns(&worker->handshakes, HANDSHAKES_IN_A_GO, connection_handshake);
    share_charge(&worker->share, began, clock_monotonic_ns());
    return !list_empty(&worker->handshakes);
}

/* After the established connections' input: those that had more to read, some of those that a new snapshot
 * may refuse, then a handshake step. */
void worker_take_turns(uv_check_t *check)
{
    struct worker *worker = check->data;
    bool others = worker->others || !list_empty(&worker->runnable);
    bool more;

    worker->others = false;
    take_turns(&worker->runnable, 64, run_turn);
    more = connection_world_decide(&worker->world, DECISIONS_IN_A_GO);
    more |= !list_empty(&worker->handshakes) && take_handshakes(worker, others);
    more |= !list_empty(&worker->runnable);
    if (worker->idle_running && !more) {
        uv_idle_stop(&worker->idle);
        worker->idle_running = false;
    }
}
