#include "vpn/tunneld_private.h"

#include "vpn/proof.h"
#include "vpn/status.h"
#include "vpn/tunneld_log.h"
#include "vpn/tunneld_notify.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS 1000
#define PROBLEMS_TOLD 20

/* --- status ------------------------------------------------------------------------------- */

/* NULL: there is none now. */
static char *new_line(struct tunneld *tunneld, size_t *ret_length)
{
    const struct status_head head = {
        .sequence = ++tunneld->sequence,
        .connected = keeper_is_connected(tunneld->keeper),
        .charon_version = keeper_charon_version(tunneld->keeper),
    };
    char *line = NULL;
    int error =
        status_write(&head, keeper_tunnels(tunneld->keeper), tunneld_now_ms(), &line, ret_length);

    if (error == 0)
        return line;
    TUNNELD_LOG(CONFIG_LOG_ERROR, "status-not-written", TUNNELD_TEXT("reason", strerror(-error)));
    return NULL;
}

static char *greet(void *context, size_t *ret_length)
{
    return new_line(context, ret_length);
}

void tunneld_tell(struct tunneld *tunneld)
{
    size_t length = 0;
    char *line;

    tunneld->told_version = keeper_version(tunneld->keeper);
    if (tunneld->server == NULL || status_server_clients(tunneld->server) == 0)
        return;
    line = new_line(tunneld, &length);
    if (line != NULL)
        status_server_send(tunneld->server, line, length);
    free(line);
}

static void on_beat(uv_timer_t *timer)
{
    tunneld_notify("WATCHDOG=1");
    tunneld_tell(timer->loop->data);
}

/* --- configuration ------------------------------------------------------------------------ */

/* Are the keys there, and readable for us? What is read is wiped at once. */
static void check_proofs(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];
        char error[PROOF_ERROR_BYTES], setting[128];
        struct proof proof;
        if (proof_read(tunnel, &proof, error) == 0) {
            proof_free(&proof);
            continue;
        }
        snprintf(setting, sizeof setting, "tunnels.%s", tunnel->name);
        problems_add(problems, PROBLEM_ERROR, tunnel->place, setting, "%s", error);
    }
}

/* NULL: there is an error among the problems. */
static struct config *read_config(const struct tunneld_options *options, struct problems *problems)
{
    struct config *config = config_load(options->config_file, options->directory, problems);

    if (config == NULL)
        return NULL;
    check_proofs(config, problems);
    if (problems->errors > 0)
        config_free(&config);
    return config;
}

int tunneld_check(const struct tunneld_options *options)
{
    struct problems problems;
    struct config *config;
    int status;

    problems_init(&problems);
    config = read_config(options, &problems);
    problems_print(&problems, stderr);
    config_free(&config);
    status = problems.errors > 0 ? 1 : 0;
    problems_free(&problems);
    return status;
}

static void log_problems(const struct problems *problems)
{
    size_t told = 0;

    for (size_t i = 0; i < problems->count && told < PROBLEMS_TOLD; i++) {
        const struct problem *problem = &problems->items[i];
        if (problem->severity != PROBLEM_ERROR)
            continue;
        TUNNELD_LOG(CONFIG_LOG_ERROR, "configuration-problem",
                    TUNNELD_TEXT("file", problem->file != NULL ? problem->file : ""),
                    TUNNELD_NUMBER("line", problem->line),
                    TUNNELD_TEXT("setting", problem->setting != NULL ? problem->setting : ""),
                    TUNNELD_TEXT("reason", problem->text));
        told++;
    }
}

/* The gateway's group, which is to read the status; -1: nobody says which. */
static gid_t reading_group(const struct config *config)
{
    char buffer[4096];
    struct group group, *found_group = NULL;
    struct passwd user, *found_user = NULL;

    if (config->gateway.group != NULL &&
        getgrnam_r(config->gateway.group, &group, buffer, sizeof buffer, &found_group) == 0 &&
        found_group != NULL)
        return group.gr_gid;
    if (config->gateway.group == NULL && config->gateway.user != NULL &&
        getpwnam_r(config->gateway.user, &user, buffer, sizeof buffer, &found_user) == 0 &&
        found_user != NULL)
        return user.pw_gid;
    return (gid_t)-1;
}

static void needs_restart(bool changed, const struct config *wanted, const char *setting,
                          struct problems *problems)
{
    if (changed)
        problems_add(problems, PROBLEM_ERROR, wanted->tunneld.place, setting,
                     "needs a restart of mllp-tunneld");
}

/* The sockets, and whose they are, are not changed while running. */
static void compare(const struct config *running, const struct config *wanted,
                    struct problems *problems)
{
    const struct config_tunneld *a = &running->tunneld, *b = &wanted->tunneld;

    needs_restart(strcmp(a->status_socket, b->status_socket) != 0, wanted, "tunneld.status_socket",
                  problems);
    needs_restart(strcmp(a->vici_socket, b->vici_socket) != 0, wanted, "tunneld.vici_socket",
                  problems);
    needs_restart(strcmp(a->user, b->user) != 0, wanted, "tunneld.user", problems);
    needs_restart(reading_group(running) != reading_group(wanted), wanted, "gateway.group",
                  problems);
}

static int take_config(struct tunneld *tunneld, struct config *config)
{
    tunneld_log_configure(config->gateway.log_level, config->gateway.log_format);
    return keeper_configure(tunneld->keeper, tunneld_now_ms(), config);
}

static void reload(struct tunneld *tunneld)
{
    struct problems problems;
    struct config *config;

    problems_init(&problems);
    config = read_config(tunneld->options, &problems);
    if (config != NULL)
        compare(keeper_config(tunneld->keeper), config, &problems);
    if (problems.errors == 0 && take_config(tunneld, config) != 0)
        problems_add(&problems, PROBLEM_ERROR, config->tunneld.place, NULL, "out of memory");
    log_problems(&problems);
    if (problems.errors > 0) {
        config_free(&config);
        TUNNELD_LOG(CONFIG_LOG_ERROR, "reload-refused",
                    TUNNELD_TEXT("file", tunneld->options->config_file),
                    TUNNELD_NUMBER("errors", problems.errors));
    } else {
        TUNNELD_LOG(CONFIG_LOG_INFO, "reloaded", TUNNELD_NUMBER("tunnels", config->tunnel_count));
    }
    problems_free(&problems);
}

/* --- signals ------------------------------------------------------------------------------ */

static void on_hang_up(uv_signal_t *handle, int number)
{
    struct tunneld *tunneld = handle->loop->data;

    (void)number;
    tunneld_notify_reloading();
    reload(tunneld);
    tunneld_settle(tunneld);
    tunneld_notify("READY=1");
}

static void on_end(uv_signal_t *handle, int number)
{
    (void)number;
    tunneld_notify("STOPPING=1");
    uv_stop(handle->loop);
}

/* --- the process -------------------------------------------------------------------------- */

static void warn_of_user(const struct config *config)
{
    uid_t user = 0;
    gid_t group = 0;

    if (geteuid() == 0)
        TUNNELD_LOG(CONFIG_LOG_WARNING, "runs-as-root",
                    TUNNELD_TEXT("advice", "it needs no privilege but access to charon's socket: "
                                           "start it as tunneld.user"));
    if (config_tunneld_user(config, &user, &group) != 0 || user != geteuid())
        TUNNELD_LOG(CONFIG_LOG_WARNING, "runs-as-another-user",
                    TUNNELD_TEXT("user", config->tunneld.user), TUNNELD_NUMBER("uid", geteuid()),
                    TUNNELD_TEXT("advice", "the gateway believes nobody but tunneld.user"));
}

static int serve(struct tunneld *tunneld)
{
    const struct config *config = keeper_config(tunneld->keeper);
    gid_t wanted = reading_group(config), group = (gid_t)-1;
    char error[STATUS_SERVER_ERROR_BYTES];

    if (status_server_open(&tunneld->loop, config->tunneld.status_socket, wanted, greet, tunneld,
                           &tunneld->server, &group, error) != 0) {
        TUNNELD_LOG(CONFIG_LOG_ERROR, "status-socket-failed", TUNNELD_TEXT("reason", error));
        return -1;
    }
    if (wanted != (gid_t)-1 && wanted != group)
        TUNNELD_LOG(CONFIG_LOG_WARNING, "status-socket-group", TUNNELD_NUMBER("gid", group),
                    TUNNELD_NUMBER("wanted_gid", wanted),
                    TUNNELD_TEXT("advice", "make mllp-tunneld's user a member of the gateway's "
                                           "group, or the gateway cannot read the status"));
    return 0;
}

static void start(struct tunneld *tunneld)
{
    uv_timer_init(&tunneld->loop, &tunneld->deadline);
    uv_timer_init(&tunneld->loop, &tunneld->beat);
    uv_timer_start(&tunneld->beat, on_beat, BEAT_MS, BEAT_MS);
    uv_signal_init(&tunneld->loop, &tunneld->hang_up);
    uv_signal_init(&tunneld->loop, &tunneld->terminate);
    uv_signal_init(&tunneld->loop, &tunneld->interrupt);
    uv_signal_start(&tunneld->hang_up, on_hang_up, SIGHUP);
    uv_signal_start(&tunneld->terminate, on_end, SIGTERM);
    uv_signal_start(&tunneld->interrupt, on_end, SIGINT);
    TUNNELD_LOG(CONFIG_LOG_INFO, "started", TUNNELD_TEXT("version", MLLPGW_VERSION),
                TUNNELD_NUMBER("tunnels", keeper_config(tunneld->keeper)->tunnel_count));
    keeper_set_wall_s(tunneld->keeper, (int64_t)time(NULL));
    keeper_tick(tunneld->keeper, tunneld_now_ms());
    tunneld_settle(tunneld);
    tunneld_notify("READY=1"); /* to tell how tunnels are; charon may come later */
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end(struct tunneld *tunneld)
{
    tunneld_hang_up(tunneld);
    status_server_close(&tunneld->server);
    uv_walk(&tunneld->loop, close_handle, NULL);
    (void)uv_run(&tunneld->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&tunneld->loop);
    keeper_free(&tunneld->keeper);
}

static int fill(struct tunneld *tunneld, const struct tunneld_options *options)
{
    struct problems problems;
    struct config *config;
    uint64_t seed = 0;
    int error;

    problems_init(&problems);
    config = read_config(options, &problems);
    problems_print(&problems, stderr);
    problems_free(&problems);
    if (config == NULL)
        return -EINVAL;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
        seed = (uint64_t)getpid();
    tunneld->keeper = keeper_new(seed, tunneld_now_ms());
    error = tunneld->keeper == NULL ? -ENOMEM : take_config(tunneld, config);
    if (error != 0)
        config_free(&config);
    return error;
}

int tunneld_run(const struct tunneld_options *options)
{
    struct tunneld tunneld = {.options = options};
    int status = 1;

    if (fill(&tunneld, options) != 0 || uv_loop_init(&tunneld.loop) != 0) {
        keeper_free(&tunneld.keeper);
        return status;
    }
    tunneld.loop.data = &tunneld;
    warn_of_user(keeper_config(tunneld.keeper));
    if (serve(&tunneld) == 0) {
        start(&tunneld);
        (void)uv_run(&tunneld.loop, UV_RUN_DEFAULT);
        TUNNELD_LOG(CONFIG_LOG_INFO, "ended");
        status = 0;
    }
    end(&tunneld);
    return status;
}
