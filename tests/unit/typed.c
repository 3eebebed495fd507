/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loans and samples as one type: what fits is given, what does not is NULL.
 */
#include <criterion/criterion.h>
#include <zcp/typed.h>

struct typed {
	uint64_t number;
	uint32_t more[3];
};

static _Alignas(64) unsigned char memory[128];

static struct zcp_loan loan_of(size_t offset, size_t size)
{
	struct zcp_loan loan = ZCP_LOAN_INIT;

	loan.data = memory + offset;
	loan.size = size;
	loan.capacity = sizeof(memory) - offset;
	return loan;
}

static struct zcp_sample sample_of(size_t offset, size_t size)
{
	struct zcp_sample sample = ZCP_SAMPLE_INIT;

	sample.data = memory + offset;
	sample.size = size;
	return sample;
}

Test(typed, payload_that_holds_the_type_is_given)
{
	struct zcp_loan loan = loan_of(0, sizeof(struct typed));
	struct zcp_sample sample = sample_of(64, 64);
	struct typed *written = zcp_loan_as(&loan, struct typed);
	const struct typed *read = zcp_sample_as(&sample, struct typed);

	cr_assert_eq((void *)written, memory);
	cr_assert_eq((const void *)read, memory + 64);
	/* An element, of the type's own alignment. */
	sample = sample_of(4, 8);
	cr_assert_eq((const void *)zcp_sample_as(&sample, uint32_t), memory + 4);
}

Test(typed, payload_that_is_too_short_is_refused)
{
	struct zcp_loan loan = loan_of(0, sizeof(struct typed) - 1);
	struct zcp_sample sample = sample_of(0, sizeof(struct typed) - 1);

	/* That it would fit does not help: it would not be published. */
	cr_assert_geq(loan.capacity, sizeof(struct typed));
	cr_assert_null(zcp_loan_as(&loan, struct typed));
	cr_assert_null(zcp_sample_as(&sample, struct typed));
}

Test(typed, payload_at_another_address_is_refused)
{
	struct zcp_loan loan = loan_of(4, sizeof(struct typed));
	struct zcp_sample sample = sample_of(4, sizeof(struct typed));

	cr_assert_null(zcp_loan_as(&loan, struct typed));
	cr_assert_null(zcp_sample_as(&sample, struct typed));
}

Test(typed, what_is_given_back_is_refused)
{
	struct zcp_loan loan = ZCP_LOAN_INIT;
	struct zcp_sample sample = sample_of(0, 64), moved;

	cr_assert_null(zcp_loan_as(&loan, char));
	moved = zcp_sample_move(&sample);
	cr_assert_null(zcp_sample_as(&sample, char));
	cr_assert_not_null(zcp_sample_as(&moved, char));
}
