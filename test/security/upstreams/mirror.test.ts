import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { forms } from '../../support/hostile/forms.ts'
import { Liar } from '../../support/hostile/liar.ts'
import {
  assertNoSecret,
  assertSentence,
  assertSound,
  type OwnPlace,
  openOwnPlace,
} from '../../support/hostile/stores.ts'
import { mirrorFrom } from '../../support/hostile/victims.ts'

/** After these the job need not complain. */
const harmless = new Set([
  'tag: other bytes',
  'tag: half of the bytes, as if they were all',
  'tag: more bytes',
  'tag: gzip in place of it',
  'tag: a byte at a time, of as many as there are',
])

for (const place of ['catalog', 'tags', 'tag', 'blob'] as const)
  describe(`a mirror job that is lied to where it asks for a ${place}`, { concurrency: 24 }, () => {
    let to: OwnPlace
    before(async () => {
      to = await openOwnPlace()
    })
    after(() => to[Symbol.asyncDispose]())

    for (const [what, form] of Object.entries(forms)) {
      const name = `${place}: ${what}`
      const prefix = `mirrors/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
      it(name, async () => {
        await using liar = await Liar.start(name, (asked, ...rest) =>
          [place, 'other'].includes(asked.place) ? form(asked, ...rest) : false,
        )
        const { end, results } = await mirrorFrom(liar, to.own, prefix)
        const reasons = [end.reason, ...results.map(({ reason }) => reason)].filter(reason => reason !== null)
        const about = JSON.stringify({ end, results }, undefined, 1)
        assertNoSecret(about)
        // Of the size that HEAD has told may be made something or nothing.
        if (!harmless.has(name)) assert.notEqual(end.outcome, 'ok', about)
        if (end.outcome !== 'ok' && results.length > 0)
          assertSentence(results.find(({ outcome }) => outcome !== 'copied')?.reason ?? '', liar)
        assert.ok(harmless.has(name) || reasons.length > 0, about)
        await assertSound(to.own.repository(parseRepositoryName(`${prefix}/team/app`)))
        assert.ok(liar.asked.length <= 600, `${liar.asked.length} questions`)
      })
    }
  })
