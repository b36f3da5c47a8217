import assert from 'node:assert/strict'
import { it } from 'node:test'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import { attackTests } from './attack.ts'
import { breakoutNames, breakouts } from './containerd.ts'

it("has each of containerd's 34 breakouts once", () => {
  assert.equal(breakoutNames.length, 34)
  assert.deepEqual(breakouts.map(({ title }) => title).sort(), breakoutNames.toSorted())
})

describeInEachPlace("containerd's TestBreakouts", { timeout: 120_000 }, place =>
  attackTests(
    place,
    breakouts.map(({ title, refused, difference, ...breakout }) => ({
      ...breakout,
      title: difference === undefined ? title : `${title} (other than containerd: ${difference})`,
      outcome: refused ? 'invalid' : undefined,
    })),
  ),
)
