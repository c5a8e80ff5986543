/* mllpctl send: test client and load generator. */
#include "ctl/ctl.h"
#include "ctl/send_engine.h"
#include "ctl/send_report.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char send_help[] =
    "usage: mllpctl send [FILE|DIRECTORY|-]... --to HOST:PORT [OPTIONS]\n"
    "\n"
    "Sends HL7 v2 messages over MLLP and waits for their acknowledgments. Without a file it makes\n"
    "up messages of its own (--size). A file holds MLLP frames, a batch (FHS, BHS), or messages\n"
    "that begin with MSH; LF line ends of hand-written files become CR.\n"
    "\n"
    "  --to HOST:PORT     where to ([::1]:2575 for IPv6)\n"
    "  --tls              TLS; --ca, --cert, --key and --server-name mean it too\n"
    "  --ca FILE          PEM: what the server's certificate must chain to (needed for TLS)\n"
    "  --cert FILE, --key FILE\n"
    "                     PEM: our certificate and its key, for mutual TLS\n"
    "  --server-name NAME what the server's certificate must say (default: HOST)\n"
    "  --count N          send everything N times, each time with an MSH-10 of its own\n"
    "  --keep-id          --count without new MSH-10s: retransmissions\n"
    "  --new-id           new MSH-10s also without --count\n"
    "  --connections N    share the messages among N connections (default 1)\n"
    "  --window N         messages on the way per connection (default 1: wait for each answer)\n"
    "  --rate N           at most N messages a second in all\n"
    "  --timeout S        seconds to wait for a connection or an answer (default 30)\n"
    "  --resend N         send an unanswered message again, at most N times, over a new connection\n"
    "  --size BYTES       size of made-up messages (default 600)\n"
    "  --facility NAME    their MSH-4 (default DEMO)\n"
    "  --as-is            a file is one frame, byte for byte\n"
    "  --show             print the acknowledgments\n"
    "  --quiet            no progress and no summary\n"
    "  --json             the summary as one JSON object\n"
    "\n"
    "Exit code 0 only when every message that is to be answered got a positive answer (AA, CA);\n"
    "1 otherwise, 3 when no connection could be made.\n";

struct send_options {
    struct send_settings settings;
    struct tls_client_settings tls;
    bool use_tls, keep_id, new_id, as_is, show, quiet, json;
    const char *to, *facility;
    int64_t size;
    char host[256], port[32];
};

enum {
    OPTION_TO = 256,
    OPTION_TLS,
    OPTION_CA,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_SERVER_NAME,
    OPTION_COUNT,
    OPTION_KEEP_ID,
    OPTION_NEW_ID,
    OPTION_CONNECTIONS,
    OPTION_WINDOW,
    OPTION_RATE,
    OPTION_TIMEOUT,
    OPTION_RESEND,
    OPTION_SIZE,
    OPTION_FACILITY,
    OPTION_AS_IS,
    OPTION_SHOW,
    OPTION_QUIET,
    OPTION_JSON,
    OPTION_HELP
};

static const struct option send_long_options[] = {
    {"to", required_argument, NULL, OPTION_TO},
    {"tls", no_argument, NULL, OPTION_TLS},
    {"ca", required_argument, NULL, OPTION_CA},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"server-name", required_argument, NULL, OPTION_SERVER_NAME},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"keep-id", no_argument, NULL, OPTION_KEEP_ID},
    {"new-id", no_argument, NULL, OPTION_NEW_ID},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"resend", required_argument, NULL, OPTION_RESEND},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"facility", required_argument, NULL, OPTION_FACILITY},
    {"as-is", no_argument, NULL, OPTION_AS_IS},
    {"show", no_argument, NULL, OPTION_SHOW},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static volatile int send_stop;

static void send_on_signal(int number)
{
    (void)number;
    send_stop = 1;
}

/* ---- options ---- */

static int option_decimal(const char *name, double minimum, double maximum, double *ret_number)
{
    char *end = NULL;
    double number = strtod(optarg, &end);

    if (end == optarg || (*end != '\0' && strcmp(end, "/s") != 0) ||
        !(number >= minimum && number <= maximum))
        return ctl_usage("send", "--%s %s: a number from %g to %g is wanted", name, optarg, minimum,
                         maximum);
    *ret_number = number;
    return CTL_OK;
}

static int option_number(const char *name, int64_t minimum, int64_t maximum, int64_t *ret_number)
{
    if (ctl_parse_number(optarg, minimum, maximum, ret_number) < 0)
        return ctl_usage("send", "--%s %s: a number from %lld to %lld is wanted", name, optarg,
                         (long long)minimum, (long long)maximum);
    return CTL_OK;
}

static int option_int(const char *name, int maximum, int minimum, int *ret_number)
{
    int64_t number = 0;
    int code = option_number(name, minimum, maximum, &number);

    if (code == CTL_OK)
        *ret_number = (int)number;
    return code;
}

static int option_flag(struct send_options *options, int option)
{
    switch (option) {
    case OPTION_TLS:
        options->use_tls = true;
        return CTL_OK;
    case OPTION_KEEP_ID:
        options->keep_id = true;
        return CTL_OK;
    case OPTION_NEW_ID:
        options->new_id = true;
        return CTL_OK;
    case OPTION_AS_IS:
        options->as_is = true;
        return CTL_OK;
    case OPTION_SHOW:
        options->show = true;
        return CTL_OK;
    case OPTION_QUIET:
        options->quiet = true;
        return CTL_OK;
    case OPTION_JSON:
        options->json = true;
        return CTL_OK;
    default:
        return ctl_usage("send", "that is no option of send, or its value is missing");
    }
}

static int option_text(struct send_options *options, int option)
{
    switch (option) {
    case OPTION_TO:
        options->to = optarg;
        return CTL_OK;
    case OPTION_CA:
        options->tls.ca = optarg;
        return CTL_OK;
    case OPTION_CERT:
        options->tls.certificate = optarg;
        return CTL_OK;
    case OPTION_KEY:
        options->tls.key = optarg;
        return CTL_OK;
    case OPTION_SERVER_NAME:
        options->tls.server_name = optarg;
        return CTL_OK;
    case OPTION_FACILITY:
        options->facility = optarg;
        return CTL_OK;
    default:
        return option_flag(options, option);
    }
}

static int option_take(struct send_options *options, int option)
{
    struct send_settings *settings = &options->settings;
    double seconds = 0;

    switch (option) {
    case OPTION_COUNT:
        return option_number("count", 1, INT64_C(1000000000000), &settings->count);
    case OPTION_CONNECTIONS:
        return option_int("connections", 60000, 1, &settings->connections);
    case OPTION_WINDOW:
        return option_int("window", 10000, 1, &settings->window);
    case OPTION_RESEND:
        return option_int("resend", 1000000, 0, &settings->resend);
    case OPTION_RATE:
        return option_decimal("rate", 0.001, 1e7, &settings->rate);
    case OPTION_SIZE:
        return option_number("size", 1, SEND_SOURCE_MAXIMUM / 2, &options->size);
    case OPTION_TIMEOUT:
        if (option_decimal("timeout", 0.01, 86400, &seconds) != CTL_OK)
            return CTL_USAGE;
        settings->timeout_ms = (int64_t)(seconds * 1000);
        return CTL_OK;
    default:
        return option_text(options, option);
    }
}

/* "HOST:PORT", "[HOST]:PORT". */
static int options_split_target(struct send_options *options)
{
    const char *host = options->to, *colon = strrchr(options->to, ':');
    size_t length = colon == NULL ? 0 : (size_t)(colon - host);

    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (length > 0 && memchr(host, ':', length) != NULL) {
        length = 0;
    }
    if (length == 0 || length >= sizeof options->host || colon[1] == '\0' ||
        strlen(colon + 1) >= sizeof options->port)
        return ctl_usage("send", "--to %s: HOST:PORT is wanted, or [ADDRESS]:PORT", options->to);
    memcpy(options->host, host, length);
    options->host[length] = '\0';
    memcpy(options->port, colon + 1, strlen(colon + 1) + 1);
    return CTL_OK;
}

static int options_check(struct send_options *options)
{
    const struct tls_client_settings *tls = &options->tls;

    if (options->to == NULL)
        return ctl_usage("send", "--to HOST:PORT is missing");
    if (options->keep_id && options->new_id)
        return ctl_usage("send", "--keep-id and --new-id exclude each other");
    options->use_tls |=
        tls->ca != NULL || tls->certificate != NULL || tls->key != NULL || tls->server_name != NULL;
    if (options->use_tls && tls->ca == NULL)
        return ctl_usage("send", "TLS needs --ca FILE: what the server's certificate chains to");
    if ((tls->certificate == NULL) != (tls->key == NULL))
        return ctl_usage("send", "--cert and --key belong together");
    options->settings.target = options->to;
    options->settings.show = options->show ? stdout : NULL;
    options->settings.progress = !options->quiet && !options->show && isatty(STDERR_FILENO);
    options->settings.new_ids =
        options->new_id || (options->settings.count > 1 && !options->keep_id);
    int code = options_split_target(options);
    if (options->tls.server_name == NULL)
        options->tls.server_name = options->host;
    return code;
}

/* CTL_OK; -1: --help was printed. */
static int options_parse(struct send_options *options, int argc, char **argv)
{
    int option, code = CTL_OK;

    *options = (struct send_options){
        .settings = {.count = 1, .connections = 1, .window = 1, .timeout_ms = 30000},
        .facility = "DEMO",
        .size = 600,
    };
    opterr = 0;
    optind = 1;
    while (code == CTL_OK &&
           (option = getopt_long(argc, argv, "", send_long_options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            fputs(send_help, stdout);
            return -1;
        }
        if (option == '?')
            return ctl_usage("send", "%s: no such option, or its value is missing",
                             argv[optind - 1]);
        code = option_take(options, option);
    }
    return code != CTL_OK ? code : options_check(options);
}

/* ---- the work ---- */

static int send_fill_source(struct send_options *options, struct send_source *source, int count,
                            char **paths)
{
    char error[512];

    for (int i = 0; i < count; i++)
        if (send_source_add_path(source, paths[i], options->as_is, error) < 0)
            return ctl_fail(CTL_REFUSED, "%s", error);
    if (count > 0 && source->count == 0)
        return ctl_fail(CTL_REFUSED, "there is no message in what was given");
    if (count > 0) {
        if (source->converted > 0 && !options->quiet)
            fprintf(stderr,
                    "mllpctl: line ends of %u file%s changed from LF to CR (--as-is leaves "
                    "them)\n",
                    source->converted, source->converted == 1 ? "" : "s");
        return CTL_OK;
    }
    /* Made-up messages without new ids would be retransmissions of each other. */
    options->settings.new_ids = !options->keep_id;
    if (send_source_add_synthetic(source, (size_t)options->size, options->facility) < 0)
        return ctl_fail(CTL_REFUSED, "out of memory");
    return CTL_OK;
}

/* Every address of the name in turn, until one answers. */
static int send_to_addresses(struct send_options *options, const struct send_source *source,
                             const struct addrinfo *addresses, struct send_totals *totals)
{
    int result = -ECONNREFUSED;

    for (const struct addrinfo *each = addresses; each != NULL && result == -ECONNREFUSED;
         each = each->ai_next) {
        memcpy(&options->settings.address, each->ai_addr, each->ai_addrlen);
        options->settings.address_length = each->ai_addrlen;
        options->settings.wait = options->settings.resend > 0 && each->ai_next == NULL;
        result = send_engine_run(&options->settings, source, &send_stop, totals);
    }
    return result;
}

static int send_resolve(const struct send_options *options, struct addrinfo **ret_addresses)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int result = getaddrinfo(options->host, options->port, &hints, ret_addresses);

    if (result != 0)
        return ctl_fail(CTL_UNREACHABLE, "%s: %s", options->to, gai_strerror(result));
    return CTL_OK;
}

static int send_tell(const struct send_options *options, const struct send_totals *totals,
                     int result)
{
    if (result == -ECONNREFUSED)
        return ctl_fail(CTL_UNREACHABLE, "%s",
                        totals->problem[0] != '\0' ? totals->problem : "no connection");
    if (result < 0 && result != -ECANCELED)
        return ctl_fail(CTL_REFUSED, "%s", strerror(-result));
    if (options->json)
        send_report_json(totals, stdout);
    else if (!options->quiet)
        send_report_text(totals, stdout);
    else if (totals->problem[0] != '\0' && !send_report_is_well(totals))
        return ctl_fail(CTL_NOT_WELL, "%s", totals->problem);
    return send_report_is_well(totals) ? CTL_OK : CTL_NOT_WELL;
}

static int send_run(struct send_options *options, const struct send_source *source)
{
    struct send_totals *totals = calloc(1, sizeof *totals);
    struct addrinfo *addresses = NULL;
    char error[256] = "";

    if (totals == NULL)
        return ctl_fail(CTL_REFUSED, "out of memory");
    int code = send_resolve(options, &addresses);

    if (code == CTL_OK && options->use_tls) {
        if (tls_global_init() == 0)
            options->settings.tls = tls_client_new(&options->tls, error);
        if (options->settings.tls == NULL)
            code = ctl_fail(CTL_REFUSED, "%s", error[0] != '\0' ? error : "TLS cannot start");
    }
    if (code == CTL_OK)
        code = send_tell(options, totals, send_to_addresses(options, source, addresses, totals));
    tls_client_free(&options->settings.tls);
    if (addresses != NULL)
        freeaddrinfo(addresses);
    free(totals);
    return code;
}

int ctl_send(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = send_on_signal, .sa_flags = (int)SA_RESETHAND};
    struct send_options options;
    struct send_source source;
    int code = options_parse(&options, argc, argv);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    sigaction(SIGINT, &action, NULL); /* a second one ends us at once */
    sigaction(SIGTERM, &action, NULL);
    send_source_init(&source);
    code = send_fill_source(&options, &source, argc - optind, argv + optind);
    if (code == CTL_OK)
        code = send_run(&options, &source);
    send_source_free(&source);
    return code;
}
