#include "egress/store.h"
#include "egress/types.h"

#include <stdio.h>

struct store *store_new(const struct config_store *config, const struct store_context *context,
                        char ret_error[512])
{
    struct store *store = NULL;

    switch (config->type) {
    case CONFIG_STORE_DIRECTORY:
        store = store_directory_new(config, context, ret_error);
        break;
    case CONFIG_STORE_HTTP:
        store = store_http_new(config, context, ret_error);
        break;
    case CONFIG_STORE_GOOGLE:
        store = store_google_new(config, context, ret_error);
        break;
    }
    if (store == NULL)
        return NULL;
    store->config = config;
    store->context = *context;
    return store;
}

void store_free(struct store **store)
{
    if (*store != NULL)
        (*store)->operations->destroy(*store);
    *store = NULL;
}

struct store_attempt *store_deliver(struct store *store, struct message *message,
                                    struct store_progress *progress, int64_t deadline_ms,
                                    void (*on_done)(void *context, struct verdict *verdict),
                                    void *context)
{
    return store->operations->deliver(store, message, progress, deadline_ms, on_done, context);
}

void store_cancel(struct store_attempt **attempt)
{
    if (*attempt != NULL)
        (*attempt)->store->operations->cancel(*attempt);
    *attempt = NULL;
}
