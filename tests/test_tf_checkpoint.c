/* test_tf_checkpoint.c: TensorFlow's checkpoints, whole and broken. tests/data/hf/tf holds some that
 * TensorFlow itself has written (tests/make_tf_fixture.py); the others are by tests/tf_writer.h. */
#include "tests/hf.h"
#include "tests/tf_writer.h"

#include "core/checksum.h"
#include "models/snappy.h"
#include "models/sstable.h"

/* ---- The tiny model as a checkpoint ---- */

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
static tf_checkpoint *make_checkpoint(uint64_t shards, uint64_t dtype)
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

static tf_entry *find_entry(tf_checkpoint *c, const char *key)
{
    size_t i = 0;
    while (strcmp(c->entries[i].key, key) != 0)
        assert_true(++i < c->n);
    return &c->entries[i];
}

static void assert_same(const pare_model *got, const pare_model *want, double rounding)
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
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        *add_entry(c, names[i], 99, 0) = (tf_entry){.dtype = 99, .shard = 7, .size = 1};
    for (size_t i = c->n - sizeof names / sizeof *names, k = 0; i < c->n; i++, k++)
        snprintf(c->entries[i].key, sizeof c->entries[i].key, "%s", names[k]);
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
    pare_model *m = NULL;
    assert_refused(dir, "tensor classifier.weight is missing");
    leave_out(dir, "output_");
    m = import(dir);
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

/* ---- Wrong tables ---- */

static pare_status count_entry(void *context, const char *key, size_t length, pare_wire value)
{
    (void)key, (void)length, (void)value;
    ++*(int *)context;
    return PARE_OK;
}

static void assert_table(const bytes *file, const char *says, int entries)
{
    int n = 0;
    pare_status status = pare_sstable_read(file->at, file->n, "t", count_entry, &n);
    if (says) {
        assert_status(status, PARE_INPUT);
        assert_message_has(says);
    } else {
        assert_ok(status);
        assert_int_equal(n, entries);
    }
}

/* One block of these bytes, its CRC right. */
static void check_block(const char *content, size_t size, int kind, const char *says)
{
    bytes block = {0}, file = {0};
    put(&block, content, size);
    handle h = {0, size};
    if (kind == NOT_PACKED) {
        h = table_block(&file, &block, kind);
    } else { /* packed already, or of a kind that there is not */
        put(&file, content, size);
        put_byte(&file, (unsigned)kind);
        put(&file, &(uint32_t){masked_crc(file.at, size + 1)}, 4);
        free(block.at);
    }
    table_end(&file, &h, 1, NOT_PACKED);
    assert_table(&file, says, 1);
    free(file.at);
}

static void test_wrong_blocks(void **state)
{
    (void)state;
#define END "\0\0\0\0\1\0\0\0" /* one restart */
#define BLOCK(text) text, sizeof text - 1
    check_block(BLOCK("\0\1\1kv" END), NOT_PACKED, NULL);
    check_block(BLOCK(""), NOT_PACKED, "it is too short");
    check_block(BLOCK("\0\0\0"), NOT_PACKED, "it is too short");
    check_block(BLOCK("\1\0\0\0"), NOT_PACKED, "list of restarts leaves it");
    check_block(BLOCK("\0\0\0\0\xff\xff\xff\xff"), NOT_PACKED, "list of restarts leaves it");
    check_block(BLOCK("\0\2\1kv" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1\2kv" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1" END), NOT_PACKED, "an entry leaves it");
    check_block(BLOCK("\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1kv" END), NOT_PACKED,
                "an entry leaves it"); /* -1 */
    check_block(BLOCK("\0\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0kv" END), NOT_PACKED,
                "an entry leaves it"); /* 12 bytes of a number */
    check_block(BLOCK("\1\1\1kv" END), NOT_PACKED, "repeats more than the key before it has");
    check_block(BLOCK("\0\1\1kv\2\1\1lv" END), NOT_PACKED, "repeats more");
    check_block(BLOCK("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1kv" END), NOT_PACKED,
                "repeats more");
    check_block(BLOCK("\0\1\1kv\0\1\1kv" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv\0\1\1jv" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv\1\0\1v" END), NOT_PACKED, "not greater");
    check_block(BLOCK("\0\1\1kv" END), 2, "its compression 2 is neither none nor snappy");
    check_block(BLOCK("\x0d\x30\0\1\1kv" END), PACKED, NULL);
    check_block(BLOCK("\x0e\x30\0\1\1kv" END), PACKED, "its compressed data are broken");
    check_block(BLOCK("\xff\xff\xff\x7f\x30\0\1\1kv" END), PACKED, "announces more bytes");
    check_block(BLOCK(""), PACKED, "announces more bytes");
    char *key = calloc(1, 1024);
    assert_non_null(key);
    memcpy(key, "\0\x81\4\0", 4); /* a key of 513 bytes */
    memset(key + 4, 'k', 513);
    memcpy(key + 4 + 513, END, 8);
    check_block(key, 4 + 513 + 8, NOT_PACKED, "a key is too long");
    key[1] = (char)0x80; /* 512; the value begins with the last k */
    key[3] = 1;
    check_block(key, 4 + 513 + 8, NOT_PACKED, NULL);
    free(key);
}

static void test_wrong_places(void **state)
{
    (void)state;
    static const struct {
        handle first, second; /* the two blocks are 13 + 5 bytes each, at 0 and 18 */
        const char *says;
    } cases[] = {
        {{0, 13}, {18, 13}, NULL},
        {{0, 13}, {0, 13}, "overlaps the one before it"},
        {{0, 13}, {17, 13}, "overlaps the one before it"},
        {{18, 13}, {18, 13}, "overlaps the one before it"},
        {{0, 12}, {18, 13}, "CRC-32C differs"},
        {{0, 13}, {18, 14}, "CRC-32C differs"},
        {{0, UINT64_MAX}, {18, 13}, "leaves the file"},
        {{UINT64_MAX, 1}, {18, 13}, "leaves the file"},
        {{UINT64_MAX - 3, 13}, {18, 13}, "leaves the file"},
        {{0, 13}, {18, 1 << 20}, "leaves the file"},
        {{0, 13}, {18, UINT64_MAX - 20}, "leaves the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes block = {0}, file = {0};
        handle at[2] = {cases[i].first, cases[i].second};
        put(&block, BLOCK("\0\1\1jv" END));
        (void)table_block(&file, &block, NOT_PACKED);
        put(&block, BLOCK("\0\1\1kv" END));
        (void)table_block(&file, &block, NOT_PACKED);
        table_end(&file, at, 2, NOT_PACKED);
        assert_table(&file, cases[i].says, 2);
        free(file.at);
    }
    bytes file = {0};
    table_footer(&file, (handle){0, 0}, (handle){0, 0});
    assert_table(&file, "leaves the file", 0);
    memset(file.at, 0xff, 40);
    assert_table(&file, "the footer is broken", 0);
    file.at[47] ^= 1;
    assert_table(&file, "does not end as a table does", 0);
    file.n = 47;
    assert_table(&file, "47 bytes are too few", 0);
    free(file.at);
}

/* More entries than any BERT has: refused before they fill the memory. */
static void test_many_entries(void **state)
{
    (void)state;
    char dir[TEST_PATH], path[TEST_PATH];
    bytes block = {0}, file = {0};
    tf_checkpoint *c = make_checkpoint(1, TF_FLOAT);
    bytes header = {0};
    put_header(&header, c);
    table_entry(&block, 0, "", 0, header.at, header.n);
    for (unsigned i = 0; i < 1 << 15; i++) {
        unsigned char key[9] = {'c', 'l', 's', '/', 'a' + (i >> 12), 'a' + (i >> 8 & 15),
                                'a' + (i >> 4 & 15), 'a' + (i & 15)};
        table_entry(&block, 0, key, 8, "", 0);
    }
    table_restarts(&block, 1);
    handle h = table_block(&file, &block, NOT_PACKED);
    table_end(&file, &h, 1, NOT_PACKED);
    make_directory(dir);
    test_path(path, dir, "m.ckpt.index");
    test_file_write(path, file.at, file.n);
    assert_refused(dir, "holds more than 32768 entries");
    free(header.at);
    free(file.at);
    free_checkpoint(c);
}

/* ---- Snappy and the CRC ---- */

static void test_snappy(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out; /* NULL: refused */
    } cases[] = {
        {BLOCK("\0"), ""},
        {BLOCK("\3\x08" "abc"), "abc"},
        {BLOCK("\7\x08" "abc\x01\3"), "abcabca"},
        {BLOCK("\x0a\0a\x22\1\0"), "aaaaaaaaaa"}, /* it copies what it makes */
        {BLOCK("\x0a\0a\x23\1\0\0\0"), "aaaaaaaaaa"},
        {BLOCK("\3\xf0\2abc"), "abc"},
        {BLOCK("\3\xf4\2\0abc"), "abc"},
        {BLOCK("\3\xf8\2\0\0abc"), "abc"},
        {BLOCK("\3\xfc\2\0\0\0abc"), "abc"},
        {BLOCK("\3\xfc\xff\xff\xff\xff" "abc"), NULL},
        {BLOCK("\3\x0c" "abc"), NULL},
        {BLOCK("\3\x0c" "abcd"), NULL},      /* a literal past the end */
        {BLOCK("\3\x04" "ab"), NULL},        /* too little */
        {BLOCK("\7\x08" "abc\x01\4"), NULL}, /* from before the begin */
        {BLOCK("\7\x08" "abc\x01\0"), NULL}, /* from nowhere */
        {BLOCK("\6\x08" "abc\x01\3"), NULL}, /* a copy past the end */
        {BLOCK("\7\x08" "abc\x01"), NULL},
        {BLOCK("\7\x08" "abc\x02\3"), NULL},
        {BLOCK("\7\x08" "abc\x03\3\0\0"), NULL},
        {BLOCK("\3\xf4\2"), NULL},
        {BLOCK("\x80"), NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[64];
        uint64_t size;
        const unsigned char *begin = (const unsigned char *)cases[i].in;
        pare_wire in = {begin, begin + cases[i].n, false};
        bool good = pare_snappy_size(&in, &size) && size <= sizeof out &&
                    pare_snappy_unpack(out, size, in);
        assert_int_equal(good, cases[i].out != NULL);
        if (good)
            assert_memory_equal(out, cases[i].out, size);
    }
}

static void test_crc32c(void **state)
{
    (void)state;
    unsigned char text[64];
    assert_int_equal(pare_crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720's check */
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof text; n++) {
        uint32_t want = crc32c_bits(text, n);
        assert_int_equal(pare_crc32c(0, text, n), want);
        assert_int_equal(pare_crc32c(pare_crc32c(0, text, n / 3), text + n / 3, n - n / 3), want);
    }
    assert_int_equal(pare_sstable_mask(crc32c_bits(text, 9)), masked_crc(text, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_tensors),   cmocka_unit_test(test_written_by_tensorflow),
        cmocka_unit_test(test_ignored),        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_wrong_entries),  cmocka_unit_test(test_wrong_blocks),
        cmocka_unit_test(test_wrong_places),   cmocka_unit_test(test_many_entries),
        cmocka_unit_test(test_snappy),         cmocka_unit_test(test_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
