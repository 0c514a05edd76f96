import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../../src/protocols/failure.ts';
import { Grant } from '../../../src/protocols/grant.ts';

const granted = () => Grant.from({ grant: 'r-0k3v.worker.a.b/1/model#1', amountNanos: '9000000000000000001', maxTokens: 100, deadline: 5_000, leftNanos: '0' });

const refusal = (run: () => void): TroupeError => {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof TroupeError) return thrown;
  }
  throw new Error('it was not refused');
};

describe('a grant', () => {
  it('says what it is for, exactly', () => {
    expect(granted()).toMatchObject({ id: 'r-0k3v.worker.a.b/1/model#1', maxTokens: 100, amountNanos: 9_000_000_000_000_000_001n, deadline: 5_000 });
  });

  it('is used up by its first use', () => {
    const grant = granted();
    grant.use(4_999);
    expect(refusal(() => grant.use(4_999)).code).toBe('GRANT_USED');
  });

  it('is void from its deadline on, and another one may be asked for', () => {
    expect(refusal(() => granted().use(5_000))).toMatchObject({ code: 'GRANT_EXPIRED', retryable: true });
  });

  it('is not used up by a use that came too late', () => {
    const grant = granted();
    refusal(() => grant.use(9_000));
    expect(refusal(() => grant.use(9_000)).code).toBe('GRANT_EXPIRED');
  });

  it('is refused to a host that is not sure of its actor any more, and is not used up by that', () => {
    let held = false;
    const grant = Grant.from({ grant: 'r-0k3v.worker.a.b/1/model#1', amountNanos: '1', maxTokens: 100, deadline: 5_000, leftNanos: '0' }, () => held);
    expect(refusal(() => grant.use(1)).code).toBe('GRANT_EXPIRED');
    held = true;
    grant.use(1);
  });
});
