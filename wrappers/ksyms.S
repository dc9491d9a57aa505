/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The private symbols of the kernel that the module needs, reached by
 * livepatch relocations.
 *
 * Why this is assembler: each place that needs a relocation has to be named,
 * and no compiler does that. At each place there is a placeholder, the weak
 * symbol `.klp.tombstone.NAME`. For each place there is an entry in
 * `__klp_relocs.vmlinux` (struct klp_reloc of
 * tools/objtool/include/objtool/klp.h). After the last link, `objtool klp
 * post-link` turns the entries into sections `.klp.rela.vmlinux.*`. The
 * livepatch core resolves these through kallsyms when the module is loaded. If
 * a symbol is absent or ambiguous, the load fails. Without post-link, the
 * placeholders are NULL: private_symbols.rs checks that.
 *
 * The functions are reached by direct jumps, not by pointers that were looked
 * up: with IBT, an indirect call faults if the function's ENDBR was sealed.
 */
#include <linux/linkage.h>
#include <asm/asm.h>

/* As in <elf.h>, which assembler cannot include. */
#define R_X86_64_64	1
#define R_X86_64_PLT32	4

/* A struct klp_reloc: \place gets the value of \symbol plus \addend. */
.macro KLP_RELOC place:req symbol:req addend:req type:req
	.weak	".klp.tombstone.\symbol"
	.weak	".klp.sym.vmlinux.\symbol,0"
	.pushsection __klp_relocs.vmlinux, "a"
	.balign	8
	.quad	\place
	.quad	".klp.sym.vmlinux.\symbol,0" + \addend
	.long	\type
	.long	0
	.popsection
.endm

	.text

/* int kmod_rs_security_kernel_module_request(char *name) */
SYM_FUNC_START(kmod_rs_security_kernel_module_request)
	jmp	".klp.tombstone.security_kernel_module_request"
.Lafter_jmp:
	KLP_RELOC .Lafter_jmp-4, security_kernel_module_request, -4, R_X86_64_PLT32
SYM_FUNC_END(kmod_rs_security_kernel_module_request)

/* bool kmod_rs_has_capability_noaudit(struct task_struct *task, int capability) */
SYM_FUNC_START(kmod_rs_has_capability_noaudit)
	jmp	".klp.tombstone.has_capability_noaudit"
.Lafter_second_jmp:
	KLP_RELOC .Lafter_second_jmp-4, has_capability_noaudit, -4, R_X86_64_PLT32
SYM_FUNC_END(kmod_rs_has_capability_noaudit)

/* void kmod_rs_walk_process_tree(struct task_struct *top, proc_visitor visitor, void *data) */
SYM_FUNC_START(kmod_rs_walk_process_tree)
	jmp	".klp.tombstone.walk_process_tree"
.Lafter_third_jmp:
	KLP_RELOC .Lafter_third_jmp-4, walk_process_tree, -4, R_X86_64_PLT32
SYM_FUNC_END(kmod_rs_walk_process_tree)

	.data
	.balign	8

/* char *const kmod_rs_modprobe_path */
SYM_DATA_START(kmod_rs_modprobe_path)
.Lmodprobe_path:
	.quad	".klp.tombstone.modprobe_path"
	KLP_RELOC .Lmodprobe_path, modprobe_path, 0, R_X86_64_64
SYM_DATA_END(kmod_rs_modprobe_path)

/* struct list_head *const kmod_rs_modules */
SYM_DATA_START(kmod_rs_modules)
.Lmodules:
	.quad	".klp.tombstone.modules"
	KLP_RELOC .Lmodules, modules, 0, R_X86_64_64
SYM_DATA_END(kmod_rs_modules)

/* int (*const kmod_rs_cryptomgr_probe)(void *data), which is compared and not called */
SYM_DATA_START(kmod_rs_cryptomgr_probe)
.Lcryptomgr_probe:
	.quad	".klp.tombstone.cryptomgr_probe"
	KLP_RELOC .Lcryptomgr_probe, cryptomgr_probe, 0, R_X86_64_64
SYM_DATA_END(kmod_rs_cryptomgr_probe)
