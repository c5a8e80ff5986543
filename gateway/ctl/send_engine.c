#include "ctl/send_engine.h"

#include "base/clock.h"
#include "ctl/send_connection.h"
#include "ctl/send_report.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ENGINE_EVENTS 256
#define ENGINE_SWEEP_MS 100
#define ENGINE_LINGER_MS 500
#define ENGINE_ANSWER_MAXIMUM (16u << 20)

struct span send_flight_id(const struct send_engine *engine, const struct send_flight *flight)
{
    if (flight->own_id)
        return span_of(flight->id, ID_CONTROL_BYTES);
    return send_message_id(&engine->source->messages[flight->message]);
}

/* How many may have left by now. */
static int64_t engine_allowance(const struct send_engine *engine)
{
    double rate = engine->settings->rate;

    if (rate <= 0)
        return engine->totals.wanted;
    double due = 1 + rate * (double)(engine->now_ns - engine->start_ns) / 1e9;
    return due < (double)engine->totals.wanted ? (int64_t)due : engine->totals.wanted;
}

bool send_engine_take(struct send_engine *engine, struct send_flight *ret_flight)
{
    if (*engine->stop)
        return false;
    if (engine->again_count > 0) {
        *ret_flight = engine->again[--engine->again_count];
        engine->totals.resent++;
        return true;
    }
    if (engine->issued >= engine_allowance(engine))
        return false;
    size_t message = (size_t)(engine->issued % (int64_t)engine->source->count);
    bool own_id = engine->settings->new_ids && engine->source->messages[message].has_id;
    *ret_flight = (struct send_flight){.message = message, .own_id = own_id};
    if (own_id)
        id_make_control(ret_flight->id);
    engine->issued++;
    engine->totals.sent++;
    return true;
}

void send_engine_lost(struct send_engine *engine, const struct send_flight *flight)
{
    if (flight->attempts < engine->settings->resend && !*engine->stop) {
        engine->again[engine->again_count] = *flight;
        engine->again[engine->again_count].attempts++;
        engine->again[engine->again_count].accepted = false;
        engine->again_count++;
        return;
    }
    engine->totals.unanswered++;
    engine->settled++;
}

void send_engine_answered(struct send_engine *engine, const struct send_flight *flight,
                          bool positive)
{
    send_histogram_add(&engine->totals.latency, engine->now_ns - flight->sent_ns);
    if (positive)
        engine->totals.positive++;
    else
        engine->totals.negative++;
    engine->settled++;
}

static void engine_sweep_one(struct send_engine *engine, struct send_connection *connection)
{
    int64_t now_ms = engine->now_ns / 1000000;
    int64_t oldest_ns = engine->now_ns - engine->settings->timeout_ms * 1000000;

    if (connection->state == SEND_OPEN) {
        /* The order of answers is lost with one of them: begin again. */
        if (connection->flight_count > 0 && connection->flights[0].sent_ns < oldest_ns)
            send_connection_close(connection, "no answer in time");
    } else if (connection->state != SEND_CLOSED) {
        if (now_ms >= connection->deadline_ms)
            send_connection_close(connection, "could not connect in time");
    } else if (now_ms >= connection->deadline_ms && !*engine->stop &&
               (engine->issued < engine->totals.wanted || engine->again_count > 0)) {
        if (send_connection_open(connection) < 0)
            connection->deadline_ms = now_ms + ENGINE_SWEEP_MS;
    }
}

static void engine_sweep(struct send_engine *engine)
{
    int64_t now_ms = engine->now_ns / 1000000;
    bool any_open = false;

    if (now_ms < engine->next_sweep_ms)
        return;
    engine->next_sweep_ms = now_ms + ENGINE_SWEEP_MS;
    for (int i = 0; i < engine->settings->connections; i++) {
        engine_sweep_one(engine, &engine->connections[i]);
        any_open |= engine->connections[i].state == SEND_OPEN;
    }
    if (any_open)
        engine->silent_since_ms = 0;
    else if (engine->silent_since_ms == 0)
        engine->silent_since_ms = now_ms;
    if (engine->settings->progress)
        send_report_progress(&engine->totals, engine->settled, engine->now_ns - engine->start_ns);
}

/* Nothing works: every try ended before it was a connection, and waiting isn't wanted or is over. */
static bool engine_is_hopeless(const struct send_engine *engine)
{
    bool patient =
        engine->settings->wait || engine->totals.latency.count > 0 || engine->totals.lost > 0;
    int64_t silent_ms =
        engine->silent_since_ms == 0 ? 0 : engine->now_ns / 1000000 - engine->silent_since_ms;

    if (silent_ms >= engine->settings->timeout_ms)
        return true;
    if (patient || engine->totals.problem[0] == '\0')
        return false;
    for (int i = 0; i < engine->settings->connections; i++)
        if (engine->connections[i].state != SEND_CLOSED)
            return false;
    return true;
}

static bool engine_is_done(const struct send_engine *engine)
{
    return *engine->stop || engine->settled >= engine->totals.wanted || engine_is_hopeless(engine);
}

/* Connections that wait for the rate, not for an answer, have no event that would wake them. */
static void engine_fill_idle(struct send_engine *engine)
{
    int count = engine->settings->connections;
    int first = (int)(engine->issued % count);

    for (int i = 0; i < count; i++) {
        struct send_connection *connection = &engine->connections[(first + i) % count];
        if (engine->issued >= engine_allowance(engine) && engine->again_count == 0)
            return;
        if (connection->state == SEND_OPEN)
            send_connection_fill(connection);
    }
}

static int engine_wait_ms(const struct send_engine *engine)
{
    bool paced = engine->settings->rate > 0 && engine->issued < engine->totals.wanted;
    return paced ? 1 : ENGINE_SWEEP_MS;
}

static void engine_turn(struct send_engine *engine)
{
    struct epoll_event events[ENGINE_EVENTS];
    int count = epoll_wait(engine->epoll_fd, events, ENGINE_EVENTS, engine_wait_ms(engine));

    for (int i = 0; i < count; i++) {
        engine->now_ns = clock_monotonic_ns();
        send_connection_ready(events[i].data.ptr, events[i].events);
    }
    engine->now_ns = clock_monotonic_ns();
    engine_sweep(engine);
    if (engine->settings->rate > 0 || engine->again_count > 0)
        engine_fill_idle(engine);
}

/* The last bytes have left and, where no answer was due, a refusal had its chance to come. */
static void engine_finish(struct send_engine *engine)
{
    int64_t end_ns = engine->now_ns;
    int64_t linger_ns = engine->totals.not_expected > 0 ? ENGINE_LINGER_MS * INT64_C(1000000) : 0;
    bool waiting = true;

    while (waiting && !*engine->stop) {
        waiting = false;
        for (int i = 0; i < engine->settings->connections; i++) {
            const struct send_connection *connection = &engine->connections[i];
            bool unsent = connection->out.length > connection->out_at;
            waiting |=
                connection->state == SEND_OPEN &&
                (engine->now_ns < end_ns + linger_ns ||
                 (unsent && engine->now_ns < end_ns + engine->settings->timeout_ms * 1000000));
        }
        if (waiting)
            engine_turn(engine);
    }
    engine->totals.elapsed_ns = end_ns - engine->start_ns;
    for (int i = 0; i < engine->settings->connections; i++) {
        struct send_connection *connection = &engine->connections[i];
        if (connection->state == SEND_OPEN && connection->tls != NULL)
            tls_session_shutdown(connection->tls);
        send_connection_close(connection, NULL);
    }
    /* What waited to be sent again has its last chance behind it. */
    engine->totals.unanswered += engine->again_count;
    engine->again_count = 0;
}

static void engine_free(struct send_engine *engine)
{
    for (int i = 0; engine->connections != NULL && i < engine->settings->connections; i++) {
        mllp_decoder_free(&engine->connections[i].decoder);
        buffer_free(&engine->connections[i].out);
        free(engine->connections[i].flights);
    }
    free(engine->connections);
    free(engine->again);
    free(engine->input);
    if (engine->epoll_fd >= 0)
        close(engine->epoll_fd);
}

static int engine_init(struct send_engine *engine)
{
    const struct send_settings *settings = engine->settings;
    const struct mllp_limits limits = {.maximum_content_bytes = ENGINE_ANSWER_MAXIMUM};
    size_t count = (size_t)settings->connections, window = (size_t)settings->window;

    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (engine->epoll_fd < 0)
        return -errno;
    engine->input = malloc(SEND_INPUT_BYTES);
    engine->connections = calloc(count, sizeof *engine->connections);
    engine->again = calloc(count * window, sizeof *engine->again);
    if (engine->input == NULL || engine->connections == NULL || engine->again == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct send_connection *connection = &engine->connections[i];
        connection->engine = engine;
        connection->fd = -1;
        buffer_init(&connection->out, (size_t)SEND_SOURCE_MAXIMUM * 2);
        mllp_decoder_init(&connection->decoder, &limits);
        connection->flights = calloc(window, sizeof *connection->flights);
        if (connection->flights == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int engine_open_all(struct send_engine *engine)
{
    int64_t useful = engine->totals.wanted;

    engine->start_ns = engine->now_ns = clock_monotonic_ns();
    for (int i = 0; i < engine->settings->connections && i < useful; i++) {
        int result = send_connection_open(&engine->connections[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

int send_engine_run(const struct send_settings *settings, const struct send_source *source,
                    const volatile int *stop, struct send_totals *ret_totals)
{
    struct send_engine engine = {
        .settings = settings, .source = source, .stop = stop, .epoll_fd = -1};

    engine.totals.wanted = settings->count * (int64_t)source->count;
    int result = engine_init(&engine);
    if (result == 0)
        result = engine_open_all(&engine);
    while (result == 0 && !engine_is_done(&engine))
        engine_turn(&engine);
    if (engine.connections != NULL)
        engine_finish(&engine);
    if (settings->progress)
        send_report_progress_end();
    if (result == 0 && *stop)
        result = -ECANCELED;
    else if (result == 0 && engine.totals.sent == 0)
        result = -ECONNREFUSED;
    *ret_totals = engine.totals;
    engine_free(&engine);
    return result;
}
