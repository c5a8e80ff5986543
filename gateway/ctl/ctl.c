#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ctl_command ctl_commands[] = {
    {"check", "check a configuration, its files and certificates", ctl_check},
    {"send", "send messages over MLLP; also the load generator", ctl_send},
    {"status", "what the gateway is doing", ctl_status},
    {"connections", "who is connected, and since when", ctl_connections},
    {"queue", "list, show, replay, discard and move queued messages", ctl_queue},
    {"reload", "check and take over a changed configuration", ctl_reload},
    {"drain", "stop taking messages, finish what is in hand, and end", ctl_drain},
    {"settings", "every setting with its type, default and meaning", ctl_settings},
    {"tunnels", "how the IPsec tunnels are, and who rides on them", ctl_tunnels},
    {"tunnel", "what the other side of an IPsec tunnel has to set; guards", ctl_tunnel},
    {"key", "make and rotate the spool's key file", ctl_key},
    {"version", "versions of mllpctl, its libraries and the gateway", ctl_version},
    {"help", "this list; `mllpctl help exit-codes`", ctl_help},
    {NULL, NULL, NULL},
};

int ctl_fail(int code, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("mllpctl: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

int ctl_usage(const char *command, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "mllpctl %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry `mllpctl %s --help`.\n", command);
    return CTL_USAGE;
}

int ctl_parse_number(const char *text, int64_t minimum, int64_t maximum, int64_t *ret_number)
{
    char *end = NULL;

    if (text[0] == '\0' || strchr("+-0123456789", text[0]) == NULL)
        return -EINVAL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*end != '\0' || end == text)
        return -EINVAL;
    if (errno == ERANGE || number < minimum || number > maximum)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

static void help_exit_codes(void)
{
    fputs("Exit codes of mllpctl:\n"
          "  0  all is well\n"
          "  1  done, but what was asked about is not well: check found errors, an\n"
          "     acknowledgment was negative or missing, the gateway is not ready\n"
          "  2  wrong options or arguments\n"
          "  3  cannot connect (to the control socket, or send's target), or no permission\n"
          "  4  could not be done: the gateway or the system refused, and said why\n"
          "  141  nobody reads the output any more (mllpctl ... | head)\n",
          stdout);
}

int ctl_help(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "exit-codes") == 0) {
        help_exit_codes();
        return CTL_OK;
    }
    for (const struct ctl_command *each = ctl_commands; argc > 1 && each->name != NULL; each++) {
        char *help[] = {argv[1], (char[]){"--help"}, NULL};
        if (strcmp(each->name, argv[1]) == 0 && each->run != ctl_help)
            return each->run(2, help);
    }
    if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "help") != 0)
        return ctl_usage("help", "there is no command \"%s\"", argv[1]);
    fputs("usage: mllpctl COMMAND [OPTIONS]\n\nCommands:\n", stdout);
    for (const struct ctl_command *each = ctl_commands; each->name != NULL; each++)
        printf("  %-12s %s\n", each->name, each->summary);
    fputs("\n`mllpctl COMMAND --help` tells more of each.\n", stdout);
    return CTL_OK;
}
