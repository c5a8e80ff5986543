/* Preloaded into the daemon by tests/system/test-hanging-disk: a disk that hangs, as NFS and SANs do when their
 * other end is away: what was asked to be made safe comes back when the disk does.
 *
 * HANG_WHILE names a file: while it is there, fsync() and fdatasync() do not return. HANGS names one that is
 * made when one of them begins to hang. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void hang(void)
{
    const char *hang_while = getenv("HANG_WHILE"), *hangs = getenv("HANGS");
    const struct timespec pause = {.tv_nsec = 10000000};

    if (hang_while == NULL || hangs == NULL || access(hang_while, F_OK) != 0)
        return;
    close(open(hangs, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (access(hang_while, F_OK) == 0)
        nanosleep(&pause, NULL);
}

static int call(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    hang();
    return real(fd);
}

int fdatasync(int fd)
{
    return call("fdatasync", fd);
}

int fsync(int fd)
{
    return call("fsync", fd);
}
