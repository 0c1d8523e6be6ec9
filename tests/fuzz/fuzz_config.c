/* tests/fuzz/fuzz_config.c: config.json, and the layers that a model file's config has beside it;
 * what is written from it reads back. */
#include "tests/fuzz/fuzz.h"

#include "models/bounded_json.h"
#include "models/config.h"

static void fuzz(const unsigned char *bytes, size_t size)
{
    pare_json *json = NULL;
    pare_config config, again;
    pare_arena *arena = pare_arena_new("fuzz");
    fuzz_check(arena);
    if (fuzz_read(pare_bounded_json_read(fuzz_file("config.json", bytes, size), &json)) &&
        fuzz_read(pare_config_read(json, "config.json", &config)) &&
        (config.num_hidden_layers > 64 ||
         fuzz_read(pare_config_read_pruned_heads(json, "config.json", arena, &config))) &&
        fuzz_read(pare_config_read_layers(json, "config.json", arena, &config))) {
        pare_json *written = pare_config_to_json(&config);
        fuzz_check(pare_config_read(written, "written", &again) == PARE_OK);
        fuzz_check(again.hidden_size == config.hidden_size &&
                   again.num_hidden_layers == config.num_hidden_layers &&
                   again.layer_norm_eps == config.layer_norm_eps);
        pare_json_free(written);
        for (int64_t i = 0; i < config.num_hidden_layers && i < 64; i++)
            fuzz_check(pare_config_layer(&config, i).num_attention_heads <=
                       config.num_attention_heads);
    }
    pare_json_free(json);
    pare_arena_free(arena);
}
