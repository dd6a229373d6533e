/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector that has the BIOS read eight sectors of the disk that it came from and write
 * them back, and says on the first serial port how that went. What drives the disk is the
 * firmware's own virtio driver.
 */
	.code16
	.globl _start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	/* Extended read and write; the BIOS leaves the drive's number in %dl. */
	movb	$0x42, %ah
	movw	$packet, %si
	int	$0x13
	jc	bad
	movw	$0x4300, %ax
	movw	$packet, %si
	int	$0x13
	jc	bad
	movw	$good, %si
	jmp	say
bad:
	movw	$failed, %si
say:
	movw	$0x3f8, %dx
next:
	lodsb
	testb	%al, %al
	jz	end
	outb	%al, %dx
	jmp	next
end:
	cli
	hlt
	jmp	end

packet:
	.byte	16, 0
	.word	8		/* sectors */
	.word	0x8000, 0	/* buffer: offset, segment */
	.quad	16		/* first sector */
good:
	.asciz	"pykit: done\r\n"
failed:
	.asciz	"pykit: failed\r\n"
	.org	510
	.word	0xaa55
