/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What drivers pass on of block requests whose used entries are too short.
 */
#ifndef PYKIT_PASSED_H
#define PYKIT_PASSED_H

struct pykit_blk_passed;
struct pykit_vq_id;

void pykit_passed_note(struct pykit_vq_id *vqid, const void *token,
		       const struct pykit_blk_passed *passed);
void pykit_passed_forget(const struct pykit_vq_id *vqid, const void *token);
void pykit_passed_init(void);
void pykit_passed_exit(void);

#endif /* PYKIT_PASSED_H */
