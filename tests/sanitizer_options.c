/*
 * Sanitized builds of the program only: options that its agents have too, whose environment is their own. Leaks are not looked for: the
 * looking needs ptrace, which a sandboxed agent may not; and what a command holds when it ends is the system's.
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0:detect_stack_use_after_return=1";
}

const char *__tsan_default_options(void)
{
    return "halt_on_error=1";
}
