#include "base/harden.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As `mllpctl ... | head` leaves it. errno may be of the write that failed first or of a later one. */
static bool reader_has_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

/* A pipe that was closed or a full disk must not look like success. */
static int finish_output(int code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return code;
    if (reader_has_gone())
        return code != CTL_OK ? code : CTL_PIPE;
    return code != CTL_OK ? code : ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";

    harden_memory(); /* keys, and bodies of messages */
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (const struct ctl_command *each = ctl_commands; each->name != NULL; each++)
        if (strcmp(each->name, name) == 0)
            return finish_output(each->run(argc > 1 ? argc - 1 : argc, argc > 1 ? argv + 1 : argv));
    ctl_fail(CTL_USAGE, "there is no command \"%s\"; `mllpctl help` lists them", name);
    return CTL_USAGE;
}
