/* mllpctl check: what only the kinds of stores know of their files. */
#include "config/secret.h"
#include "ctl/check.h"
#include "http/google_credentials.h"

#include <stdio.h>
#include <unistd.h>

/* What can't be opened, or by whom, config_check_files() has told. */
static bool check_is_sound(const char *file)
{
    return secret_check_mode(file, NULL) == 0 && access(file, R_OK) == 0;
}

void check_store_credentials(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->store_count; i++) {
        const struct config_store *store = &config->stores[i];
        struct google_credentials *credentials = NULL;
        char setting[160], error[GOOGLE_ERROR_BYTES] = "";

        if (store->credentials == NULL || !check_is_sound(store->credentials))
            continue;
        snprintf(setting, sizeof setting, "stores.%s.credentials", store->name);
        if (google_credentials_find(store->credentials, &credentials, error) != 0)
            problems_add(problems, PROBLEM_ERROR, store->place, setting, "%s", error);
        google_credentials_free(&credentials);
    }
}
