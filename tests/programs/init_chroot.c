// SPDX-License-Identifier: GPL-2.0
/*
 * Has PID 1 call chroot(2), as a debugger would do that. Helpers then have that
 * root, and all other tasks keep theirs. With "." PID 1 gets the root back in
 * which its working directory is.
 *
 * usage: init_chroot DIRECTORY
 */
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define INIT 1
/* The instruction `syscall`, and how long it is. */
#define SYSCALL 0x050f
#define SYSCALL_SIZE 2
/* What a function may use below the stack pointer, and room for a path. */
#define RED_ZONE 128
#define PATH_SIZE 256

static void await_stop(void)
{
	int status;

	if (waitpid(INIT, &status, __WALL) != INIT || !WIFSTOPPED(status))
		err(1, "PID 1 does not stop");
}

/* Stops in a system call, as PID 1 always waits for something. */
static void stop(struct user_regs_struct *regs)
{
	long code;

	if (ptrace(PTRACE_SEIZE, INIT, NULL, NULL) || ptrace(PTRACE_INTERRUPT, INIT, NULL, NULL))
		err(1, "PID 1");
	await_stop();
	if (ptrace(PTRACE_GETREGS, INIT, NULL, regs))
		err(1, "the registers");
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, INIT, regs->rip - SYSCALL_SIZE, NULL);
	if (errno || (code & 0xffff) != SYSCALL)
		errx(1, "PID 1 is in no system call");
}

int main(int argc, char **argv)
{
	char path[PATH_SIZE] = "";
	struct user_regs_struct before, regs;
	size_t i;

	if (argc != 2 || strlen(argv[1]) >= sizeof(path))
		errx(2, "usage: init_chroot DIRECTORY");
	strcpy(path, argv[1]);
	stop(&before);

	regs = before;
	regs.rip -= SYSCALL_SIZE;
	/* It is not restarted. */
	regs.orig_rax = -1;
	regs.rax = SYS_chroot;
	regs.rdi = (before.rsp - RED_ZONE - PATH_SIZE) & -sizeof(long);
	for (i = 0; i < sizeof(path); i += sizeof(long)) {
		long word;

		memcpy(&word, path + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, INIT, regs.rdi + i, word))
			err(1, "the stack");
	}
	if (ptrace(PTRACE_SETREGS, INIT, NULL, &regs) ||
	    ptrace(PTRACE_SINGLESTEP, INIT, NULL, NULL))
		err(1, "chroot");
	await_stop();
	if (ptrace(PTRACE_GETREGS, INIT, NULL, &regs) ||
	    ptrace(PTRACE_SETREGS, INIT, NULL, &before) ||
	    ptrace(PTRACE_DETACH, INIT, NULL, NULL))
		err(1, "PID 1 goes on");
	if (regs.rax) {
		errno = -regs.rax;
		err(1, "%s", path);
	}
	return 0;
}
