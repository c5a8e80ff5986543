/* mllp-gateway: arguments. See gateway.h. */
#include "gateway.h"
#include "process.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CONFIG "/etc/mllp-gateway/gateway.cfg"

static void usage(FILE *out)
{
    fprintf(
        out,
        "Usage: mllp-gateway [--config FILE] [--directory DIR] [--check | --inventory]\n"
        "Receives HL7 v2 messages over MLLP, makes them safe, acknowledges them, and relays\n"
        "them over HTTPS.\n\n"
        "  -c, --config FILE    the configuration (default " DEFAULT_CONFIG ")\n"
        "  -d, --directory DIR  where the configuration's relative paths start\n"
        "                       (default: the configuration file's directory)\n"
        "  -C, --check          only look: print every problem; status 0 when there is no error\n"
        "  -I, --inventory      print what the spool holds, and whether every message can be read;\n"
        "                       only while no gateway works with it\n"
        "  -V, --version        print the version\n"
        "  -h, --help           print this\n\n"
        "SIGTERM drains and ends, SIGHUP reloads. mllpctl shows and steers it while it runs.\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"directory", required_argument, NULL, 'd'},
        {"check", no_argument, NULL, 'C'},
        {"inventory", no_argument, NULL, 'I'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct gateway_options wanted = {.config_file = DEFAULT_CONFIG};
    struct gateway *gateway;
    int (*look)(const struct gateway_options *) = NULL;
    int option, status;

    while ((option = getopt_long(argc, argv, "c:d:CIVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            wanted.config_file = optarg;
            break;
        case 'd':
            wanted.directory = optarg;
            break;
        case 'C':
            look = gateway_check;
            break;
        case 'I':
            look = gateway_inventory;
            break;
        case 'V':
            printf("mllp-gateway %s\n", MLLPGW_VERSION);
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
        fprintf(stderr, "mllp-gateway: \"%s\" is not expected here\n\n", argv[optind]);
        usage(stderr);
        return 2;
    }
    process_harden();
    if (look != NULL) {
        return look(&wanted) == 0 ? 0 : 1;
    }
    gateway = gateway_new(&wanted);
    if (gateway == NULL) {
        return 1;
    }
    status = gateway_run(gateway);
    gateway_free(&gateway);
    return status;
}
