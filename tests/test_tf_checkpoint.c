/* test_tf_checkpoint.c: TensorFlow's checkpoints, and entries that must be refused. Some of them
 * TensorFlow itself has written (tests/make_tf_fixture.py); the others are by tests/tf_writer.h.
 * Broken tables: test_tf_damage.c. */
#include "tests/tf_tiny.h"

/* ---- What is read ---- */

static void test_same_tensors(void **state)
{
    (void)state;
    static const struct {
        uint64_t shards, dtype;
        size_t room; /* of a block */
        int kind;
        double rounding;
    } cases[] = {
        {1, TF_FLOAT, 1 << 18, NOT_PACKED, 0},  {1, TF_FLOAT, 1, NOT_PACKED, 0},
        {2, TF_FLOAT, 200, NOT_PACKED, 0},      {3, TF_DOUBLE, 1 << 18, PACKED, 0},
        {3, TF_FLOAT, 300, PACKED, 0},          {1, TF_HALF, 1 << 18, NOT_PACKED, 1e-3},
        {1, TF_BFLOAT16, 1 << 18, PACKED, 8e-3},
    };
    pare_model *want = import(DATA "tiny");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        make_directory(dir);
        tf_checkpoint *c = make_checkpoint(cases[i].shards, cases[i].dtype);
        write_checkpoint(c, dir, cases[i].room, cases[i].kind);
        pare_model *got = import(dir);
        assert_same(got, want, cases[i].rounding);
        assert_string_equal(got->label_names[1], "pro");
        pare_model_free(got);
        free_checkpoint(c);
    }
    pare_model_free(want);
}

/* A directory with Google's config, the tiny vocabulary and what TensorFlow wrote. */
static pare_model *import_written(const char *folder, const char *name, const char *index,
                                  int shards)
{
    char dir[TEST_PATH], from[TEST_PATH], to[128];
    new_directory(dir);
    copy_file(DATA "tf/bert_config.json", dir, "bert_config.json");
    copy_file(DATA "tiny/vocab.txt", dir, "vocab.txt");
    snprintf(to, sizeof to, "%s.index", name);
    copy_file(index, dir, to);
    for (int i = 0; i < shards; i++) {
        snprintf(to, sizeof to, "%s.data-%05d-of-%05d", name, i, shards);
        test_path(from, folder, to);
        copy_file(from, dir, to);
    }
    return import(dir);
}

static void test_written_by_tensorflow(void **state)
{
    (void)state;
    pare_model *want = import(DATA "tiny");
    pare_model *m = import_written(DATA "tf/fine-tuned", "model.ckpt-7",
                                   DATA "tf/fine-tuned/model.ckpt-7.index", 2);
    assert_same(m, want, 0);
    assert_int_equal(m->n_labels, 3);
    assert_string_equal(m->label_names[2], "LABEL_2");
    assert_non_null(strstr(m->history, "model.ckpt-7.index"));
    pare_model_free(m);
    m = import_written(DATA "tf/fine-tuned", "model.ckpt-7", DATA "tf/snappy.index", 2);
    assert_same(m, want, 0);
    pare_model_free(m);
    m = import_written(DATA "tf", "bert_model.ckpt", DATA "tf/bert_model.ckpt.index", 1);
    want->n_params -= 2; /* no head */
    assert_same(m, want, 0);
    assert_non_null(m->pooler.weight);
    assert_int_equal(m->n_labels, 0);
    want->n_params += 2;
    pare_model_free(m);
    pare_model_free(want);
}

/* What an optimiser and pre-training keep is not looked at, be it broken or not. */
static void test_ignored(void **state)
{
    (void)state;
    static const char *const names[] = {
        "global_step", "beta1_power", "bert/pooler/dense/kernel/adam_m", "output_bias/adam_v",
        "output_bias/Adam_1", "cls/predictions/output_bias", "cls/squad/output_weights"};
    char dir[TEST_PATH];
    tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tf_entry *e = add_entry(c, names[i], 99, 0);
        e->shard = 7;
        e->size = UINT64_MAX;
    }
    add_entry(c, "_CHECKPOINTABLE_OBJECT_GRAPH", TF_STRING, 0)->size = 1 << 20;
    make_directory(dir);
    write_checkpoint(c, dir, 1 << 18, NOT_PACKED);
    pare_model *want = import(DATA "tiny"), *got = import(dir);
    assert_same(got, want, 0);
    pare_model_free(got);
    pare_model_free(want);
    free_checkpoint(c);
}

/* Leaves entries out whose names hold this text, and imports the rest. */
static void leave_out(char *dir, const char *text)
{
    tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
    for (size_t i = 0; i < c->n; i++)
        if (strstr(c->entries[i].key, text))
            snprintf(c->entries[i].key, sizeof c->entries[i].key, "cls/%zu", i);
    make_directory(dir);
    write_checkpoint(c, dir, 1 << 18, NOT_PACKED);
    free_checkpoint(c);
}

static void test_missing_parts(void **state)
{
    (void)state;
    char dir[TEST_PATH];
    leave_out(dir, "output_weights");
    assert_refused(dir, "tensor classifier.weight is missing");
    leave_out(dir, "output_");
    pare_model *m = import(dir);
    assert_int_equal(m->n_labels, 0);
    pare_model_free(m);
    leave_out(dir, "bert/encoder/layer_0/output/dense/bias");
    assert_refused(dir, "m.ckpt.index: tensor bert.encoder.layer.0.output.dense.bias is missing");
    leave_out(dir, "word_embeddings");
    assert_refused(dir, "tensor bert.embeddings.word_embeddings.weight is missing");
    leave_out(dir, "");
    assert_refused(dir, "word_embeddings.weight is missing");
    leave_out(dir, "no such name");
    remove_file(dir, "m.ckpt.data-00000-of-00001");
    assert_refused(dir, "m.ckpt.data-00000-of-00001: there is no such file");
    write_file(dir, "m.ckpt.data-00000-of-00001", "");
    assert_refused(dir, "leave the 0 of its file of data");
    write_file(dir, "model.ckpt-1.index", "");
    assert_refused(dir, "holds two checkpoints, m.ckpt.index and model.ckpt-1.index");
}

/* ---- Wrong entries ---- */

static tf_entry *find_entry(tf_checkpoint *c, const char *key)
{
    size_t i = 0;
    while (strcmp(c->entries[i].key, key) != 0)
        assert_true(++i < c->n);
    return &c->entries[i];
}

static const char BIAS[] = "bert/pooler/dense/bias", KERNEL[] = "bert/pooler/dense/kernel";

static void set_dtype(tf_checkpoint *c) { find_entry(c, BIAS)->dtype = 99; }
static void set_int64(tf_checkpoint *c)
{
    tf_entry *e = find_entry(c, BIAS);
    e->dtype = TF_INT64;
    e->shape[0] = 2;
}
static void set_string(tf_checkpoint *c) { find_entry(c, BIAS)->dtype = TF_STRING; }
static void set_sliced(tf_checkpoint *c) { find_entry(c, BIAS)->sliced = true; }
static void set_no_rank(tf_checkpoint *c) { find_entry(c, BIAS)->no_rank = true; }
static void set_ranks(tf_checkpoint *c) { find_entry(c, BIAS)->rank = TF_RANK; }
static void set_scalar(tf_checkpoint *c)
{
    tf_entry *e = find_entry(c, BIAS);
    e->rank = 0;
    e->size = 4;
    e->crc = masked_crc(c->data[0].at + e->offset, 4);
}
static void set_zero(tf_checkpoint *c) { find_entry(c, BIAS)->shape[0] = 0; }
static void set_negative(tf_checkpoint *c) { find_entry(c, BIAS)->shape[0] = UINT64_MAX; }
static void set_huge(tf_checkpoint *c) { find_entry(c, BIAS)->shape[0] = INT64_MAX; }
static void set_product(tf_checkpoint *c)
{
    find_entry(c, KERNEL)->shape[0] = find_entry(c, KERNEL)->shape[1] = (uint64_t)1 << 32;
}
static void set_large(tf_checkpoint *c)
{
    tf_entry *e = find_entry(c, KERNEL);
    e->shape[0] = e->shape[1] = 1 << 24;
    e->size = (uint64_t)4 << 48;
}
static void set_size(tf_checkpoint *c) { find_entry(c, BIAS)->size = 15; }
static void set_negative_size(tf_checkpoint *c) { find_entry(c, BIAS)->size = UINT64_MAX; }
static void set_offset(tf_checkpoint *c) { find_entry(c, BIAS)->offset = c->data[0].n - 15; }
static void set_negative_offset(tf_checkpoint *c) { find_entry(c, BIAS)->offset = UINT64_MAX - 7; }
static void set_overlap(tf_checkpoint *c)
{
    tf_entry *e = find_entry(c, BIAS);
    e->offset = find_entry(c, KERNEL)->offset + 4;
    e->crc = masked_crc(c->data[0].at + e->offset, e->size);
}
static void set_crc(tf_checkpoint *c) { find_entry(c, BIAS)->crc ^= 1; }
static void set_bytes(tf_checkpoint *c) { c->data[0].at[find_entry(c, BIAS)->offset] ^= 1; }
static void set_infinite(tf_checkpoint *c)
{
    tf_entry *e = find_entry(c, BIAS);
    memcpy(c->data[0].at + e->offset, "\0\0\x80\x7f", 4);
    e->crc = masked_crc(c->data[0].at + e->offset, e->size);
}
static void set_shard(tf_checkpoint *c) { find_entry(c, BIAS)->shard = 1; }
static void set_negative_shard(tf_checkpoint *c) { find_entry(c, BIAS)->shard = UINT64_MAX; }
static void set_missing_shard(tf_checkpoint *c)
{
    find_entry(c, BIAS)->shard = 1000;
    c->n_shards = 1001;
}
static void set_no_shards(tf_checkpoint *c) { c->n_shards = 0; }
static void set_shards(tf_checkpoint *c) { c->n_shards = UINT64_MAX; }
static void set_big_endian(tf_checkpoint *c) { c->big_endian = 1; }
static void set_version(tf_checkpoint *c) { c->min_consumer = 2; }
static void set_no_header(tf_checkpoint *c) { c->no_header = true; }
static void set_name(tf_checkpoint *c) { find_entry(c, BIAS)->key[0] = 27; }
static void set_twice(tf_checkpoint *c)
{
    strcpy(find_entry(c, BIAS)->key, "bert/pooler/dense/weight");
}

static void test_wrong_entries(void **state)
{
    (void)state;
    static const struct {
        void (*change)(tf_checkpoint *);
        const char *says;
    } cases[] = {
        {set_dtype, "tensor bert/pooler/dense/bias: its dtype 99 is not known"},
        {set_int64, "tensor bert.pooler.dense.bias has the shape [2]"},
        {set_string, "tensor bert.pooler.dense.bias is missing"},
        {set_sliced, "tensor bert/pooler/dense/bias: is kept in slices"},
        {set_no_rank, "no list of at most 8 sizes"},
        {set_ranks, "no list of at most 8 sizes"},
        {set_scalar, "tensor bert.pooler.dense.bias has the shape []"},
        {set_zero, "a size of 0"},
        {set_negative, "no size below 2^63"},
        {set_huge, "passes 2^63 bytes"},
        {set_product, "passes 2^63 bytes"},
        {set_large, "its 1125899906842624 bytes at"},
        {set_size, "its entry gives 15 bytes, its shape needs 16"},
        {set_negative_size, "its entry gives -1 bytes"},
        {set_offset, "tensor bert/pooler/dense/bias: its 16 bytes at"},
        {set_negative_offset, "its 16 bytes at -8 leave"},
        {set_overlap, "tensor bert.pooler.dense.bias: its data overlap those of bert.pooler.dense."
                      "weight"},
        {set_crc, "tensor bert.pooler.dense.bias: the CRC-32C of its data differs"},
        {set_bytes, "tensor bert.pooler.dense.bias: the CRC-32C of its data differs"},
        {set_infinite, "tensor bert.pooler.dense.bias holds a value that is not finite"},
        {set_shard, "lies in the file 1 of 1"},
        {set_negative_shard, "lies in the file -1 of 1"},
        {set_missing_shard, "there is no such file"},
        {set_no_shards, "its header says 0 files of data"},
        {set_shards, "its header says -1 files of data"},
        {set_big_endian, "not little-endian"},
        {set_version, "asks for a reader of version 2"},
        {set_no_header, "has no header"},
        {set_name, "control character 0x1b"},
        {set_twice, "tensor bert.pooler.dense.weight is there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TEST_PATH];
        tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
        make_directory(dir);
        cases[i].change(c);
        write_checkpoint(c, dir, 1 << 18, i % 2 ? PACKED : NOT_PACKED);
        assert_refused(dir, cases[i].says);
        free_checkpoint(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_tensors),
        cmocka_unit_test(test_written_by_tensorflow),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_wrong_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
