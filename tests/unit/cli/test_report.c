#include "cli/report.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include "base/macro.h"
#include "base/str.h"

Test(cli_report, gives_every_reason_its_exit_status, .init = cr_redirect_stdout)
{
	static const struct {
		enum reason reason;
		int status;
	} rows[] = {{REASON_OK, 0}, {REASON_CHANGE, 10}, {REASON_CHANGED, 0}, {REASON_E_SYNTAX, 3},
		{REASON_E_UNDONE, 4}, {REASON_E_UNDO_FAILED, 5}, {REASON_E_LOCKED, 6},
		{REASON_NO_CONTAINERD, 0}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct report rep = REPORT_INIT;

		cr_expect_eq(report_set(&rep, rows[i].reason, "m"), rows[i].status);
		cr_expect_eq(report_print(&rep, true), rows[i].status);
	}
	for (int r = 0; r < _REASON_MAX; r++)
		cr_expect_not(str_empty(report_code((enum reason)r)));
}
