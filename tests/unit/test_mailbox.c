/* links: loop base */
#include "loop/mailbox.h"
#include "loop/offload.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENDERS 4
#define EACH 20000

struct letter {
    struct mail mail;
    int sender, number;
};

static atomic_uint wakes;
static sem_t woken;
static int last[SENDERS];
static unsigned delivered, dropped;

static void on_wake(struct mailbox *mailbox)
{
    (void)mailbox;
    atomic_fetch_add(&wakes, 1);
    sem_post(&woken);
}

static void on_letter(struct mail *mail)
{
    struct letter *letter = (struct letter *)mail;

    assert_int_equal(letter->number, last[letter->sender] + 1);
    last[letter->sender] = letter->number;
    delivered++;
    free(letter);
}

static void post(struct mailbox *mailbox, int sender, int number)
{
    struct letter *letter = calloc(1, sizeof(*letter));

    letter->mail.deliver = on_letter;
    letter->sender = sender;
    letter->number = number;
    mailbox_post(mailbox, &letter->mail);
}

static int setup(void **state)
{
    (void)state;
    atomic_store(&wakes, 0);
    delivered = 0;
    dropped = 0;
    for (int i = 0; i < SENDERS; i++)
        last[i] = 0;
    return sem_init(&woken, 0, 0);
}

static void wakes_once_until_drained(void **state)
{
    struct mailbox mailbox;

    (void)state;
    mailbox_init(&mailbox, on_wake);
    assert_true(mailbox_is_empty(&mailbox));
    for (int i = 1; i <= 5; i++)
        post(&mailbox, 0, i);
    assert_false(mailbox_is_empty(&mailbox));
    assert_int_equal(atomic_load(&wakes), 1);
    assert_int_equal(mailbox_drain(&mailbox), 5);
    assert_int_equal(mailbox_drain(&mailbox), 0);
    post(&mailbox, 0, 6);
    assert_int_equal(atomic_load(&wakes), 2);
    assert_int_equal(mailbox_drain(&mailbox), 1);
    assert_int_equal(delivered, 6);
}

static struct mailbox echo_box;
static void on_echo(struct mail *mail)
{
    delivered++;
    if (delivered < 3)
        mailbox_post(&echo_box, mail);
}

static void what_a_delivery_posts_waits_for_the_next_drain(void **state)
{
    struct mail mail = {.deliver = on_echo};

    (void)state;
    mailbox_init(&echo_box, NULL);
    mailbox_post(&echo_box, &mail);
    for (unsigned round = 1; round <= 3; round++) {
        assert_int_equal(mailbox_drain(&echo_box), 1);
        assert_int_equal(delivered, round);
    }
    assert_true(mailbox_is_empty(&echo_box));
}

struct sender {
    pthread_t thread;
    struct mailbox *mailbox;
    int index;
};

static void *send_all(void *context)
{
    struct sender *sender = context;

    for (int i = 1; i <= EACH; i++)
        post(sender->mailbox, sender->index, i);
    return NULL;
}

static void each_senders_order_is_kept_over_threads(void **state)
{
    struct sender senders[SENDERS];
    struct mailbox mailbox;

    (void)state;
    mailbox_init(&mailbox, on_wake);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.mailbox = &mailbox, .index = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    /* Sleeps only when woken: a lost wake-up hangs here. */
    while (delivered < SENDERS * EACH) {
        sem_wait(&woken);
        mailbox_drain(&mailbox);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_int_equal(delivered, SENDERS * EACH);
    assert_true(mailbox_is_empty(&mailbox));
}

struct task {
    struct offload_job job;
    pthread_t worked_on;
    sem_t *gate;
    int number;
};

static void work(struct offload_job *job)
{
    struct task *task = (struct task *)job;

    task->worked_on = pthread_self();
    if (task->gate != NULL)
        sem_wait(task->gate);
}

static void done(struct offload_job *job)
{
    struct task *task = (struct task *)job;

    if (job->dropped) { /* comes from offload_free(), before the mailbox is drained */
        dropped++;
        return;
    }
    assert_int_equal(task->number, last[0] + 1);
    last[0] = task->number;
    delivered++;
}

static void offloaded_jobs_come_back_in_order(void **state)
{
    struct offload *offload = offload_new();
    struct task tasks[3];
    struct mailbox mailbox;

    (void)state;
    assert_non_null(offload);
    mailbox_init(&mailbox, on_wake);
    for (int i = 0; i < 3; i++) {
        tasks[i] = (struct task){.job = {.reply_to = &mailbox, .work = work, .done = done},
                                 .number = i + 1};
        offload_submit(offload, &tasks[i].job);
    }
    while (delivered < 3) {
        sem_wait(&woken);
        mailbox_drain(&mailbox);
    }
    assert_false(pthread_equal(tasks[0].worked_on, pthread_self()));
    offload_free(&offload);
    assert_null(offload);
    offload_free(&offload);
}

static void jobs_not_begun_are_dropped_at_the_end(void **state)
{
    struct offload *offload = offload_new();
    struct task first, second;
    struct mailbox mailbox;
    sem_t gate;

    (void)state;
    assert_non_null(offload);
    sem_init(&gate, 0, 1);
    mailbox_init(&mailbox, on_wake);
    first = (struct task){
        .job = {.reply_to = &mailbox, .work = work, .done = done}, .gate = &gate, .number = 1};
    second = first;
    second.number = 2;
    offload_submit(offload, &first.job);
    sem_wait(&woken); /* first is over; second will hang until the gate opens, or never begins */
    offload_submit(offload, &second.job);
    sem_post(&gate);
    offload_free(&offload);
    mailbox_drain(&mailbox);
    assert_in_range(delivered, 1, 2);
    assert_int_equal(delivered + dropped, 2);
    sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(wakes_once_until_drained, setup),
        cmocka_unit_test_setup(what_a_delivery_posts_waits_for_the_next_drain, setup),
        cmocka_unit_test_setup(each_senders_order_is_kept_over_threads, setup),
        cmocka_unit_test_setup(offloaded_jobs_come_back_in_order, setup),
        cmocka_unit_test_setup(jobs_not_begun_are_dropped_at_the_end, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
