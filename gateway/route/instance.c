#include "route/router.h"
#include "route/settings.h"

#include <stdio.h>
#include <stdlib.h>

struct instance *instance_new(struct router *router, const struct config_store *config,
                              char ret_error[512])
{
    struct instance *instance = calloc(1, sizeof(*instance));

    snprintf(ret_error, 512, "out of memory");
    if (instance == NULL)
        return NULL;
    list_init(&instance->node);
    instance->router = router;
    instance->settings = settings_copy(config);
    if (instance->settings == NULL)
        goto failed;
    /* Before the store reads the files: one that changes in between counts as changed next time. */
    instance->files = settings_fingerprint(instance->settings);
    instance->store =
        router->context.store_new(instance->settings, &router->context.store_context, ret_error);
    if (instance->store == NULL)
        goto failed;
    return instance;
failed:
    settings_free(instance->settings);
    free(instance);
    return NULL;
}

/* Also asked when nothing but a secret in a file was changed: then the store is made anew. */
bool instance_serves(const struct instance *instance, const struct config_store *config)
{
    return settings_equal(instance->settings, config) &&
           instance->files == settings_fingerprint(config);
}

void instance_free(struct instance *instance)
{
    if (instance == NULL)
        return;
    list_remove(&instance->node);
    store_free(&instance->store);
    settings_free(instance->settings);
    free(instance);
}

/* No new attempts; freed by a sweep, never from inside its own on_done. */
void instance_retire(struct instance *instance)
{
    instance->retired = true;
    list_append(&instance->router->retired, &instance->node);
    if (instance->attempts == 0)
        router_want_sweep(instance->router);
}

void instance_release_attempt(struct instance *instance)
{
    instance->attempts--;
    if (instance->retired && instance->attempts == 0)
        router_want_sweep(instance->router);
}
