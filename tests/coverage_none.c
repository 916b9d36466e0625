/*
 * Coverage builds only: a program whose every system call is recorded (crash_subject) leaves no profile. This symbol stands in for the one
 * that would bring in the runtime's own beginning and end.
 */
extern int __llvm_profile_runtime;
int __llvm_profile_runtime;
