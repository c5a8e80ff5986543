/* links: route egress http spool loop hl7 config base */
/* wrap: log_event */
/*
 * Everything at once, drawn by a seed, against a spool that hands out entries as the real one does.
 * What must hold at each send: nothing of the lane that is older is still undelivered, and no other
 * attempt of the lane is under way. At the end everything has been delivered or refused.
 */
#include "replay/route_script.h"

#define LANES 12
#define WINDOW 5
#define STEPS 4000

enum fate { ABSENT, PENDING, OUT, DONE };

struct spool_model {
    enum fate fate[LANES][1000];
    unsigned born[LANES];
    bool revoked;
};

static struct spool_model model;
static struct world *world;

static uint64_t draw(uint64_t below)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static void lane_name(unsigned lane, char ret_name[16])
{
    snprintf(ret_name, 16, "lane%u", lane);
}

static void hand_out(unsigned lane)
{
    unsigned out = 0;
    char name[16];

    lane_name(lane, name);
    for (unsigned i = 0; i < model.born[lane]; i++)
        out += model.fate[lane][i] == OUT ? 1 : 0;
    for (unsigned i = 0; i < model.born[lane] && out < WINDOW && !model.revoked; i++) {
        if (model.fate[lane][i] != PENDING)
            continue;
        model.fate[lane][i] = OUT;
        out++;
        enter(world, name, (lane + 1) * 1000 + i);
    }
}

static void check_sends(void)
{
    for (size_t a = 0; a < world->attempt_count; a++) {
        uint64_t id = world->attempts[a]->id;
        unsigned lane = (unsigned)(id / 1000) - 1, number = (unsigned)(id % 1000);

        for (unsigned i = 0; i < number; i++)
            assert_int_equal(model.fate[lane][i], DONE);
        for (size_t b = 0; b < a; b++)
            assert_int_not_equal(world->attempts[b]->id / 1000, id / 1000);
    }
}

/* Reads what was settled since the last time. */
static void settle_model(void)
{
    char *rest = NULL, what[16];
    unsigned long long id;

    for (char *event = strtok_r(world->events, ",", &rest); event != NULL;
         event = strtok_r(NULL, ",", &rest)) {
        assert_int_equal(sscanf(event, " %15s %llu", what, &id), 2);
        if (strcmp(what, "accepted") == 0 || strcmp(what, "refused") == 0)
            model.fate[id / 1000 - 1][id % 1000] = DONE;
        if (strcmp(what, "back") == 0 || strcmp(what, "retry") == 0 ||
            strcmp(what, "operator") == 0)
            model.fate[id / 1000 - 1][id % 1000] = PENDING;
    }
    world->event_length = 0;
    world->events[0] = '\0';
    check_sends();
}

static void answer_one(bool well)
{
    static const struct verdict *const ways[] = {&accepted, &accepted,    &accepted,    &accepted,
                                                 &refused,  &failed,      &failed,      &lost,
                                                 &lost,     &unreachable, &unauthorized};
    size_t which;

    if (world->attempt_count == 0)
        return;
    which = draw(world->attempt_count);
    answer(world->attempts[which], well ? &accepted : ways[draw(sizeof(ways) / sizeof(ways[0]))]);
}

static void reload(void)
{
    static char names[][3] = {"s", "s2"};

    world->routes[0].parallel = 1 + (int)draw(LANES);
    world->routes[0].to = names[draw(2)];
    world->routes[0].maximum_attempts = (int)draw(4);
    world->stores[draw(2)].attempt_timeout_ms = (int64_t)draw(2);
    world_configure(world, 2, 1);
    world_apply(world);
}

static void step(void)
{
    unsigned lane = (unsigned)draw(LANES);

    switch (draw(12)) {
    case 0:
    case 1:
        if (model.born[lane] < 1000)
            model.fate[lane][model.born[lane]++] = PENDING;
        break;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        answer_one(false);
        break;
    case 7:
        if (draw(20) == 0) {
            model.revoked = true;
            router_on_route_revoked(world->router, "r");
        }
        break;
    case 8:
        model.revoked = false;
        break;
    case 9:
        if (draw(20) == 0)
            reload();
        break;
    default:
        advance(world, (int64_t)draw(300));
        break;
    }
}

static void hand_out_all(void)
{
    for (unsigned lane = 0; lane < LANES; lane++) {
        settle_model();
        hand_out(lane);
    }
    settle_model();
}

static unsigned undelivered(void)
{
    unsigned count = 0;

    for (unsigned lane = 0; lane < LANES; lane++) {
        for (unsigned i = 0; i < model.born[lane]; i++)
            count += model.fate[lane][i] == DONE ? 0 : 1;
    }
    return count;
}

static void order_and_nothing_lost(void **state)
{
    world = *state;
    for (int round = 0; round < 10; round++) {
        memset(&model, 0, sizeof(model));
        memset(world->last_id, 0, sizeof(world->last_id));
        world->jitter = true;
        world->log_length = 0;
        for (int i = 0; i < STEPS; i++) {
            step();
            hand_out_all();
        }
        model.revoked = false;
        for (int i = 0; i < 20000 && undelivered() > 0; i++) {
            answer_one(true);
            hand_out_all();
            advance(world, 100);
            settle_model();
        }
        assert_int_equal(undelivered(), 0);
    }
    assert_true(world->settled > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WORLD_TEST(order_and_nothing_lost)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
