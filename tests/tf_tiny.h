/* tests/tf_tiny.h: the tiny model of tests/data/hf/tiny as a checkpoint of tests/tf_writer.h. */
#ifndef PARE_TESTS_TF_TINY_H
#define PARE_TESTS_TF_TINY_H

#include "tests/hf.h"
#include "tests/tf_writer.h"

/* "bert.encoder.layer.0.output.dense.weight" -> "bert/encoder/layer_0/output/dense/kernel". */
static void tf_name(const pare_param *p, char *out, size_t size)
{
    static const struct {
        const char *ours, *theirs;
    } endings[] = {{"classifier.weight", "output_weights"}, {"classifier.bias", "output_bias"},
                   {"_embeddings.weight", "_embeddings"},   {"LayerNorm.weight", "LayerNorm.gamma"},
                   {"LayerNorm.bias", "LayerNorm.beta"},    {".weight", ".kernel"},
                   {"", ""}};
    size_t length = strlen(p->name), i = 0, ending;
    while (ending = strlen(endings[i].ours),
           length < ending || strcmp(p->name + length - ending, endings[i].ours) != 0)
        i++;
    snprintf(out, size, "%.*s%s", (int)(length - ending), p->name, endings[i].theirs);
    for (char *at = out; (at = strchr(at, '.'));)
        *at = at - out > 5 && memcmp(at - 5, "layer", 5) == 0 ? '_' : '/';
}

/* One number in another type; half and bfloat16 cut off what they have no room for. */
static void put_real(bytes *out, double value, uint64_t dtype)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, 4);
    uint32_t exponent = bits >> 23 & 255, half = bits >> 16 & 0x8000;
    if (exponent >= 113) /* 2^-14, the least that a half has with all its digits */
        half |= (exponent - 112) << 10 | (bits >> 13 & 1023);
    switch (dtype) {
    case TF_DOUBLE: put(out, &value, 8); break;
    case TF_BFLOAT16: put(out, &(uint16_t){(uint16_t)(bits >> 16)}, 2); break;
    case TF_HALF: put(out, &(uint16_t){(uint16_t)half}, 2); break;
    default: put(out, &single, 4);
    }
}

static tf_entry *add_entry(tf_checkpoint *c, const char *key, uint64_t dtype, uint64_t shard)
{
    assert_true(c->n < TF_ENTRIES);
    tf_entry *e = &c->entries[c->n++];
    *e = (tf_entry){.dtype = dtype, .shard = shard, .offset = c->data[shard].n};
    snprintf(e->key, sizeof e->key, "%s", key);
    return e;
}

/* What was put behind the offset is the tensor. */
static void end_entry(tf_checkpoint *c, tf_entry *e)
{
    bytes *data = &c->data[e->shard];
    e->size = data->n - e->offset;
    e->crc = masked_crc(data->at + e->offset, e->size);
}

static void add_param(tf_checkpoint *c, const pare_param *p, uint64_t dtype, uint64_t shard)
{
    char name[128];
    int64_t rows = p->tensor.rows, cols = p->tensor.cols;
    tf_name(p, name, sizeof name);
    tf_entry *e = add_entry(c, name, dtype, shard);
    bool kernel = strstr(name, "/kernel") != NULL;
    e->rank = (uint64_t)p->rank;
    e->shape[p->rank - 1] = (uint64_t)(kernel ? rows : cols);
    if (p->rank == 2)
        e->shape[0] = (uint64_t)(kernel ? cols : rows);
    for (int64_t i = 0; i < rows * cols; i++)
        put_real(&c->data[shard], (double)p->tensor.data[kernel ? i % rows * cols + i / rows : i],
                 dtype);
    end_entry(c, e);
}

/* The tiny model's tensors, one after the other into the files of data in turn. */
TEST_UNUSED static tf_checkpoint *make_checkpoint(uint64_t shards, uint64_t dtype)
{
    pare_model *m = import(DATA "tiny");
    tf_checkpoint *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->n_shards = shards;
    for (int i = 0; i < m->n_params; i++)
        add_param(c, m->params[i], dtype, (uint64_t)i % shards);
    pare_model_free(m);
    return c;
}

TEST_UNUSED static void assert_same(const pare_model *got, const pare_model *want, double rounding)
{
    assert_int_equal(got->n_params, want->n_params);
    for (int i = 0; i < got->n_params; i++) {
        const pare_param *p = got->params[i], *q = want->params[i];
        assert_string_equal(p->name, q->name);
        assert_int_equal(p->tensor.rows, q->tensor.rows);
        assert_int_equal(p->tensor.cols, q->tensor.cols);
        if (rounding == 0)
            assert_memory_equal(p->tensor.data, q->tensor.data,
                                (size_t)pare_tensor_size(&p->tensor) * sizeof *p->tensor.data);
        test_close_array(p->tensor.data, q->tensor.data, pare_tensor_size(&p->tensor), rounding,
                         1e-2, p->name);
    }
}

#endif
