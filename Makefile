# SPDX-License-Identifier: GPL-2.0
#
# Kbuild describes the module; this file what one does with it. "make help"
# lists the targets.

SHELL := /bin/bash
MODULE := kmod-rs.ko
RELEASE ?= $(shell uname -r)
DESTDIR ?=
FOLDERS := request firewall records livepatch wrappers
INSTALL_DIR := $(DESTDIR)/lib/modules/$(RELEASE)/updates

export KDIR KERNEL T DEBUG GUESTS ROUNDS SOAK_MINUTES FUZZ_MINUTES SEED BOOTS BUSY

.PHONY: module
module:
	@scripts/build.sh

.PHONY: help
help:
	@echo 'Without a kernel of your own (sets everything up by itself):'
	@echo '  demo        show the module at work on a stock Debian kernel in QEMU'
	@echo '  test        run every test; T="NAME..." runs only those'
	@echo '  test-full   the same, with the long counts of the kernel'"'"'s own kmod.sh, the'
	@echo '              boot of a whole Debian, and a debugging kernel with PREEMPT_RT'
	@echo '  test-kernels  with each kernel that KERNEL= can name, the tests for which that matters:'
	@echo '              up to 90 minutes and 12 GB'
	@echo '  soak        a random mixture of everything on a debugging kernel: SOAK_MINUTES=30 SEED=N'
	@echo '  fuzz        random lists and names for the firewall, likewise: FUZZ_MINUTES=60 SEED=N'
	@echo '  boots       boot it many times on a busy machine, and compare the clocks: BOOTS=100 BUSY=4'
	@echo '  bench       compare with the C code, as a table; ROUNDS=N (5) is how often'
	@echo '  shell       a shell in a guest with the module loaded'
	@echo '  prepare     only the set-up: Debian'"'"'s tools, kernel, metadata, guest'
	@echo '    DEBUG=no runs no tests on the debugging kernels, DEBUG=only on no others,'
	@echo '    DEBUG=rt on the one with PREEMPT_RT only'
	@echo '    KERNEL=7.3|7.2 chooses the kernel, of trixie-backports; KERNEL=forky that of'
	@echo '    Debian testing. -cloud and -rt after it choose the flavour: KERNEL=7.3-rt.'
	@echo '    REFRESH=1 looks for a newer one'
	@echo
	@echo 'For the kernel that runs here, or the one that KERNEL= or KDIR= names:'
	@echo '  module      build $(MODULE) (the default)'
	@echo '  sign        sign it: KEY=key.pem CERT=cert.pem, for Secure Boot'
	@echo '  install     to $(INSTALL_DIR), as modprobe finds it'
	@echo '  uninstall   remove it from there'
	@echo '  give-back   give request_module() back to the kernel, and unload'
	@echo '  clean       remove what was built here'

.PHONY: prepare
prepare:
	@scripts/setup/prepare.sh

.PHONY: demo
demo:
	@scripts/demo/demo.sh

.PHONY: test test-kernels boots
test test-kernels boots:
	@scripts/test/$@.sh

.PHONY: test-full
test-full:
	@scripts/test/test.sh --full

.PHONY: bench
bench:
	@scripts/bench/bench.sh

.PHONY: shell
shell:
	@scripts/guest/shell.sh

# Not a part of "make test".
.PHONY: soak fuzz
soak fuzz:
	@scripts/test/long.sh $@

# After post-link, never before: what is signed is the file as it is loaded.
.PHONY: sign
sign:
	@scripts/sign.sh $(MODULE) "$(KEY)" "$(CERT)"

# Not through modules_install, which may strip the module: the livepatch
# relocations do not survive that.
.PHONY: install
install:
	@test -f $(MODULE) || { echo 'kmod_rs: $(MODULE) is not built yet: run "make" first' >&2; exit 1; }
	install -D -m 644 $(MODULE) '$(INSTALL_DIR)/$(MODULE)'
	depmod $(if $(DESTDIR),-b '$(DESTDIR)') $(RELEASE)

.PHONY: uninstall
uninstall:
	rm -f '$(INSTALL_DIR)/$(MODULE)'
	depmod $(if $(DESTDIR),-b '$(DESTDIR)') $(RELEASE)

.PHONY: give-back
give-back:
	@scripts/give-back.sh

.PHONY: clean
clean:
	rm -f *.ko *.mod *.mod.c modules.order Module.symvers
	rm -f $(foreach folder,. $(FOLDERS),$(addprefix $(folder)/,*.o .*.o .*.cmd))
	rm -rf out
