/* torch_file.h: pytorch_model.bin, as torch.save has written it since version 1.6.
 *
 * It is a zip archive of one pickle (NAME/data.pkl) and the storages' bytes (NAME/data/0, ...). */
#ifndef PARE_MODELS_TORCH_FILE_H
#define PARE_MODELS_TORCH_FILE_H

#include "models/foreign.h"

/* Maps the file and adds its tensors. Storages that lie in the archive uncompressed (torch never
 * compresses) are used in place. Nothing in the file is run: see pickle.h. */
pare_status pare_torch_read(const char *path, pare_foreign *file);

#endif
