#include "loop/thread.h"

#include <signal.h>
#include <stdio.h>

static void thread_blocked_signals(sigset_t *ret_signals)
{
    /* Faults of the thread's own stay unblocked: a sanitizer or a core handler wants them. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

    sigfillset(ret_signals);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(ret_signals, faults[i]);
}

int thread_start(const char *name, void *(*run)(void *context), void *context,
                 pthread_t *ret_thread)
{
    char cut[16];
    sigset_t blocked, before;
    pthread_t thread;
    int result;

    thread_blocked_signals(&blocked);
    result = pthread_sigmask(SIG_SETMASK, &blocked, &before); /* inherited by the new thread */
    if (result != 0)
        return -result;
    result = pthread_create(&thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0)
        return -result;
    snprintf(cut, sizeof(cut), "%s", name);
    (void)pthread_setname_np(thread, cut); /* only for people's eyes */
    *ret_thread = thread;
    return 0;
}
