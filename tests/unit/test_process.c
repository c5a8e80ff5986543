/* links: base */
/* wrap: mkdir */
/* Directories that root makes for the gateway's user. */
#include "process.c" /* the daemon's own, in no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char scratch[64], victim[96], wanted[96];
static bool swap; /* somebody puts a link to victim where the new directory was */

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);

int __wrap_mkdir(const char *path, mode_t mode)
{
    int result = __real_mkdir(path, mode);

    if (swap && result == 0) {
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink(victim, path), 0);
    }
    return result;
}

/* Nobody but root can give anything away: the others make it their own. */
static struct process_user some_user(void)
{
    static const char name[] = "gateway";

    return geteuid() == 0 ? (struct process_user){.uid = 65534, .gid = 65534, .name = name}
                          : (struct process_user){.uid = geteuid(), .gid = getegid(), .name = name};
}

static int make_scratch(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    swap = false;
    snprintf(scratch, sizeof(scratch), "%.40s/processXXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(scratch) == NULL) {
        return -1;
    }
    snprintf(victim, sizeof(victim), "%s/victim", scratch);
    snprintf(wanted, sizeof(wanted), "%s/a/b", scratch);
    return __real_mkdir(victim, 0700);
}

static int remove_scratch(void **state)
{
    char parent[96];

    (void)state;
    snprintf(parent, sizeof(parent), "%s/a", scratch);
    (void)rmdir(wanted);
    (void)rmdir(parent);
    (void)unlink(parent);
    return rmdir(victim) == 0 && rmdir(scratch) == 0 ? 0 : -1;
}

static void made_with_its_parents(void **state)
{
    struct process_user user = some_user();
    struct stat status;

    (void)state;
    assert_int_equal(process_make_directory(wanted, &user), 0);
    assert_int_equal(stat(wanted, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);
    assert_int_equal(status.st_uid, user.uid);
    assert_int_equal(status.st_gid, user.gid);
    assert_int_equal(process_make_directory(wanted, &user), 0); /* there already */
}

static void a_link_in_its_place_is_not_followed(void **state)
{
    struct process_user user = some_user();
    struct stat before, after;

    (void)state;
    assert_int_equal(stat(victim, &before), 0);
    swap = true;
    assert_true(process_make_directory(wanted, &user) < 0);
    swap = false;
    assert_int_equal(stat(victim, &after), 0);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(after.st_gid, before.st_gid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_with_its_parents, make_scratch, remove_scratch),
        cmocka_unit_test_setup_teardown(a_link_in_its_place_is_not_followed, make_scratch,
                                        remove_scratch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
