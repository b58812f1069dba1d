/* Runs a program behind a filter of system calls, as container runtimes do: what the filter's list does not know ends the program.
 *
 * sealed PROGRAM [ARGUMENT…]: calls up to the number of rseq and from pidfd_send_signal to set_mempolicy_home_node are known, but for
 * those that look into other programs. So the calls that newer kernels make for probes (uretprobe, uprobe) are unknown.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(test, value, then) BPF_JUMP(BPF_JMP | BPF_K | test, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, then)
#define KILL SECCOMP_RET_KILL_PROCESS

int main(int count, char **arguments) {
    struct sock_filter list[] = {
        LOAD(nr),
        IF(BPF_JEQ, SYS_bpf, KILL),
        IF(BPF_JEQ, SYS_ptrace, KILL),
        IF(BPF_JEQ, SYS_perf_event_open, KILL),
        IF(BPF_JEQ, SYS_process_vm_readv, KILL),
        IF(BPF_JGT, 450, KILL),
        IF(BPF_JGE, 424, SECCOMP_RET_ALLOW),
        IF(BPF_JGT, SYS_rseq, KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof list / sizeof *list, list};
    if (count < 2) return fprintf(stderr, "usage: sealed PROGRAM [ARGUMENT…]\n"), 64;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return perror("seccomp"), 1;
    execvp(arguments[1], arguments + 1);
    return perror(arguments[1]), 1;
}
