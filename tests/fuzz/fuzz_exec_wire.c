/* What the host and its supervisor of one child say to each other: an order, a control word, a report. Nothing crashes, and lists end. */
#include "agent/exec_wire.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mw_arena arena;
    struct mw_exec_order order;
    struct mw_exec_report report;
    enum mw_exec_killed why;
    uint32_t grace_ms;
    char *memory;
    if (size == 0)
        return 0;
    fuzz_arena(&arena, (size_t)16 << 20);
    struct mw_str text = fuzz_rest(data + 1, size - 1, &memory);
    switch (data[0] % 3) {
    case 0:
        if (mw_exec_order_read(&arena, text, &order, NULL) == MW_OK) {
            size_t count = 0;
            while (order.argv[count] != NULL)
                count++;
            MW_ASSERT(count > 0 && count <= MW_EXEC_ARGS_MAX);
            for (count = 0; order.env[count] != NULL; count++)
                continue;
            MW_ASSERT(count <= MW_EXEC_ARGS_MAX);
        }
        break;
    case 1:
        if (mw_exec_control_read(text, &why, &grace_ms))
            MW_ASSERT(mw_exec_killed_name(why) != NULL);
        break;
    default:
        mw_exec_report_read(&arena, text, &report);
        MW_ASSERT(report.error < MW_EXEC_ERROR_COUNT && report.killed < MW_EXEC_KILLED_COUNT);
        MW_ASSERT(memchr(report.error_text, '\0', sizeof report.error_text) != NULL);
    }
    mw_heap_free(memory);
    return 0;
}
