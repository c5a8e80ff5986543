/* mllp-tunneld: arguments, and memory that is nobody else's. See tunneld.h. */
#include "vpn/tunneld.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define DEFAULT_CONFIG "/etc/mllp-gateway/gateway.cfg"

static void usage(FILE *out)
{
    fprintf(
        out,
        "Usage: mllp-tunneld [--config FILE] [--directory DIR] [--check]\n"
        "Keeps the IPsec tunnels of the gateway's configuration in strongSwan's charon, and tells\n"
        "the gateway how they are.\n\n"
        "  -c, --config FILE    the configuration (default " DEFAULT_CONFIG ")\n"
        "  -d, --directory DIR  where the configuration's relative paths start\n"
        "                       (default: the configuration file's directory)\n"
        "  -C, --check          only look: print every problem; status 0 when there is no error\n"
        "  -V, --version        print the version\n"
        "  -h, --help           print this\n\n"
        "SIGHUP reloads, SIGTERM ends it; tunnels stay as they are.\n");
}

/* Keys are in memory while they are loaded: no core dumps, no tracing, nothing gained by exec. */
static void harden(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    umask(077);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"directory", required_argument, NULL, 'd'},
        {"check", no_argument, NULL, 'C'},        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct tunneld_options wanted = {.config_file = DEFAULT_CONFIG};
    int check = 0, option;

    while ((option = getopt_long(argc, argv, "c:d:CVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            wanted.config_file = optarg;
            break;
        case 'd':
            wanted.directory = optarg;
            break;
        case 'C':
            check = 1;
            break;
        case 'V':
            printf("mllp-tunneld %s\n", MLLPGW_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "mllp-tunneld: \"%s\" is not expected here\n\n", argv[optind]);
        usage(stderr);
        return 2;
    }
    harden();
    return check ? tunneld_check(&wanted) : tunneld_run(&wanted);
}
