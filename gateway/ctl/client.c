#include "ctl/client.h"

#include "base/buffer.h"
#include "base/text.h"
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_LINE_MAXIMUM ((size_t)1 << 30)
#define CLIENT_READ_BYTES 65536

static const char *const client_places[] = {"/run/mllp-gateway/control.sock",
                                            "/var/lib/mllp-gateway/control.sock"};

/* ---- options ---- */

bool client_option(struct client_options *options, int option, const char *help, char **argv,
                   int *ret_code)
{
    int64_t seconds = 0;

    *ret_code = CTL_OK;
    switch (option) {
    case CLIENT_OPTION_SOCKET:
        options->socket = optarg;
        return true;
    case CLIENT_OPTION_CONFIG:
        options->config = optarg;
        return true;
    case CLIENT_OPTION_DIRECTORY:
        options->directory = optarg;
        return true;
    case CLIENT_OPTION_JSON:
        options->json = true;
        return true;
    case CLIENT_OPTION_TIMEOUT:
        if (ctl_parse_number(optarg, 1, 86400, &seconds) < 0)
            *ret_code = ctl_usage(options->command, "--timeout %s: seconds are wanted", optarg);
        options->timeout_s = (int)seconds;
        return true;
    case CLIENT_OPTION_HELP:
        fputs(help, stdout);
        *ret_code = -1;
        return true;
    case '?':
        *ret_code = ctl_usage(options->command, "%s: no such option, or its value is missing",
                              argv[optind - 1]);
        return true;
    default:
        return false;
    }
}

int client_parse(struct client_options *options, const char *help, int argc, char **argv,
                 int arguments)
{
    static const struct option long_options[] = {CLIENT_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    int option, code = CTL_OK;

    optind = 1;
    opterr = 0;
    while (code == CTL_OK && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        client_option(options, option, help, argv, &code);
    if (code == CTL_OK && argc - optind > arguments)
        return ctl_usage(options->command, "%s: what is that for?", argv[optind + arguments]);
    return code;
}

int client_load_config(const struct client_options *options, struct config **ret_config)
{
    const char *file = options->config;
    struct problems problems;
    int code = CTL_OK;

    if (access(file, R_OK) < 0)
        return ctl_fail(errno == EACCES ? CTL_UNREACHABLE : CTL_REFUSED, "%s: %s", file,
                        strerror(errno));
    problems_init(&problems);
    struct config *config = config_load(file, options->directory, &problems);
    if (config == NULL) {
        problems_print(&problems, stderr);
        code = ctl_fail(CTL_NOT_WELL, "%s has errors: mllpctl check %s", file, file);
    } else {
        *ret_config = config;
    }
    problems_free(&problems);
    return code;
}

/* ---- the socket ---- */

/* *ret_path: free() it. */
static int client_path_of_config(const char *file, const char *directory, char **ret_path)
{
    struct problems problems;
    int code = CTL_OK;

    problems_init(&problems);
    struct config *config = config_load(file, directory, &problems);
    if (config == NULL) {
        problems_print(&problems, stderr);
        code = ctl_fail(CTL_REFUSED, "%s: not usable (--socket does without it)", file);
    } else {
        *ret_path = strdup(config->gateway.control_socket);
    }
    config_free(&config);
    problems_free(&problems);
    return code;
}

static int client_path(const struct client_options *options, char **ret_path)
{
    const char *environment = getenv("MLLPGW_SOCKET");
    const char *path = options->socket;

    if (path == NULL && options->config != NULL)
        return client_path_of_config(options->config, options->directory, ret_path);
    if (path == NULL && environment != NULL && environment[0] != '\0')
        path = environment;
    if (path == NULL)
        path = client_places[access(client_places[0], F_OK) < 0 &&
                             access(client_places[1], F_OK) == 0];
    *ret_path = strdup(path);
    return CTL_OK;
}

static int client_connect(const struct client_options *options, const char *path, int *ret_fd)
{
    struct timeval limit = {.tv_sec = options->timeout_s > 0 ? options->timeout_s : 60};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof address.sun_path)
        return ctl_fail(CTL_UNREACHABLE, "%s: too long for a socket's path", path);
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ctl_fail(CTL_UNREACHABLE, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return ctl_fail(CTL_UNREACHABLE, "%s: %s%s", path, strerror(error),
                        error == ENOENT || error == ECONNREFUSED
                            ? " (does the gateway run? --socket and --config say where)"
                            : "");
    }
    *ret_fd = fd;
    return CTL_OK;
}

static int client_send(int fd, json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t length = text == NULL ? 0 : strlen(text), at = 0;

    if (text == NULL)
        return -ENOMEM;
    text[length] = '\n'; /* in place of the NUL */
    while (at <= length) {
        ssize_t written = send(fd, text + at, length + 1 - at, MSG_NOSIGNAL);
        if (written < 0 && errno != EINTR) {
            free(text);
            return -errno;
        }
        if (written > 0)
            at += (size_t)written;
    }
    free(text);
    return 0;
}

/* ---- answers ---- */

struct client_answer {
    struct buffer in;
    size_t searched; /* bytes of in that hold no line end */
    void (*item)(void *context, json_t *item);
    void *context;
    json_t *last; /* the line with "end" */
};

/* What the gateway says is escaped too: an entry's fields come from senders. */
static void client_say(const char *what, const char *text)
{
    struct buffer out;

    buffer_init(&out, 65536);
    if (text_escape(&out, span_of_string(text), true) == 0)
        fprintf(stderr, "%s%.*s\n", what, (int)out.length, out.data == NULL ? "" : out.data);
    buffer_free(&out);
}

static void client_say_problems(const json_t *problems)
{
    const json_t *each;
    size_t index;

    json_array_foreach(problems, index, each)
    {
        const char *file = json_string_value(json_object_get(each, "file"));
        const char *setting = json_string_value(json_object_get(each, "setting"));
        char line[2048];
        snprintf(line, sizeof line, "%s:%lld: %s: %s%s%s", file == NULL ? "" : file,
                 (long long)json_integer_value(json_object_get(each, "line")),
                 json_string_value(json_object_get(each, "severity")),
                 setting == NULL ? "" : setting, setting == NULL ? "" : ": ",
                 json_string_value(json_object_get(each, "text")));
        client_say("", line);
    }
}

static int client_judge(json_t *last, json_t **ret_result)
{
    const char *code = json_string_value(json_object_get(last, "code"));
    const char *error = json_string_value(json_object_get(last, "error"));

    client_say_problems(json_object_get(last, "problems"));
    client_say_problems(json_object_get(json_object_get(last, "result"), "problems"));
    if (!json_is_true(json_object_get(last, "ok"))) {
        fflush(stdout);
        client_say("mllpctl: ", error == NULL ? "the gateway refused" : error);
        return code != NULL && strcmp(code, "permission") == 0 ? CTL_UNREACHABLE : CTL_REFUSED;
    }
    if (ret_result != NULL)
        *ret_result = json_incref(json_object_get(last, "result"));
    return CTL_OK;
}

/* 0, or -EBADMSG when this is no answer of a gateway. */
static int client_line(struct client_answer *answer, size_t length)
{
    json_t *line = json_loadb(answer->in.data, length, JSON_REJECT_DUPLICATES, NULL), *each;
    size_t index;

    if (!json_is_object(line)) {
        json_decref(line);
        return -EBADMSG;
    }
    json_array_foreach(json_object_get(line, "items"), index, each)
    {
        if (answer->item != NULL)
            answer->item(answer->context, each);
    }
    if (json_is_true(json_object_get(line, "end")))
        answer->last = line;
    else
        json_decref(line);
    return 0;
}

static int client_lines(struct client_answer *answer)
{
    int result = 0;

    while (result == 0 && answer->last == NULL && answer->searched < answer->in.length) {
        const char *end =
            memchr(answer->in.data + answer->searched, '\n', answer->in.length - answer->searched);
        answer->searched = answer->in.length;
        if (end == NULL)
            break;
        size_t length = (size_t)(end - answer->in.data);
        result = client_line(answer, length);
        buffer_consume(&answer->in, length + 1);
        answer->searched = 0;
    }
    return result;
}

static int client_receive(int fd, struct client_answer *answer)
{
    while (answer->last == NULL) {
        int result = buffer_reserve(&answer->in, CLIENT_READ_BYTES);
        if (result < 0)
            return result;
        ssize_t got = recv(fd, answer->in.data + answer->in.length, CLIENT_READ_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
        answer->in.length += (size_t)got;
        result = client_lines(answer);
        if (result < 0)
            return result;
    }
    return 0;
}

int client_call(const struct client_options *options, json_t *request,
                void (*item)(void *context, json_t *item), void *context, json_t **ret_result)
{
    struct client_answer answer = {.item = item, .context = context};
    char *path = NULL;
    int fd = -1;
    int code = client_path(options, &path);

    buffer_init(&answer.in, CLIENT_LINE_MAXIMUM);
    if (code == CTL_OK && (path == NULL || request == NULL))
        code = ctl_fail(CTL_REFUSED, "out of memory");
    if (code == CTL_OK && path != NULL)
        code = client_connect(options, path, &fd);
    if (code == CTL_OK && fd >= 0) {
        int result = client_send(fd, request);
        if (result == 0)
            result = client_receive(fd, &answer);
        code = result < 0 ? ctl_fail(CTL_UNREACHABLE, "%s: no answer: %s", path, strerror(-result))
                          : client_judge(answer.last, ret_result);
    }
    if (fd >= 0)
        close(fd);
    json_decref(answer.last);
    json_decref(request);
    buffer_free(&answer.in);
    free(path);
    return code;
}

int client_print_json(json_t *value)
{
    int result =
        value == NULL ? -1 : json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));

    if (value != NULL && ferror(stdout) != 0)
        result = 0; /* nothing to do with memory: main() says what is wrong with the output */
    putchar('\n');
    json_decref(value);
    return result < 0 ? ctl_fail(CTL_REFUSED, "out of memory") : CTL_OK;
}
