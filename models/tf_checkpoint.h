/* tf_checkpoint.h: checkpoints of TensorFlow, as google-research/bert has saved BERT.
 *
 *   bert_model.ckpt.index                  a sorted table (sstable.h): name -> type, shape, place
 *   bert_model.ckpt.data-00000-of-00001    the tensors' bytes, in one file or several
 *
 * The values of the table are protocol buffers (wire.h): BundleHeaderProto under the empty name,
 * BundleEntryProto under every other.
 * Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/
 *         tensor_bundle.proto, and core/framework/{tensor_shape,types,versions}.proto beside it
 *
 * Tensors get the names that transformers' conversion gives them:
 *
 *   bert/encoder/layer_0/output/dense/kernel [in, out]
 *                        bert.encoder.layer.0.output.dense.weight [out, in], by swapped strides
 *   bert/embeddings/word_embeddings    bert.embeddings.word_embeddings.weight
 *   output_weights, output_bias        classifier.weight, classifier.bias
 *   cls/..., global_step, .../adam_m, .../adam_v and the like: left out, nor are they read */
#ifndef PARE_MODELS_TF_CHECKPOINT_H
#define PARE_MODELS_TF_CHECKPOINT_H

#include "models/foreign.h"

/* *name = the one file of the directory that is called *.ckpt*.index, in the arena; NULL if there
 * is none. Several are PARE_INPUT: which one is meant is not ours to guess. */
pare_status pare_tf_find(const char *directory, pare_arena *arena, char **name);

/* Maps the index at `path` and the files beside it that it needs, and adds the tensors; the data
 * stays in the files. PARE_INPUT, naming the file, the tensor and the reason: anything but the
 * format; a CRC-32C that differs, of the table or of a tensor; tensors that overlap, leave their
 * file or have no elements; tensors kept in slices; numbers that are big-endian; files missing. */
pare_status pare_tf_read(const char *path, pare_foreign *file);

#endif
