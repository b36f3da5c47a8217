import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { forms } from '../../support/hostile/forms.ts'
import { Liar } from '../../support/hostile/liar.ts'
import { assertSentence, assertSound, type OwnPlace, openOwnPlace } from '../../support/hostile/stores.ts'
import { copyFrom } from '../../support/hostile/victims.ts'

/** After these there is a copy all the same: HEAD tells of the tag; there is no API of referrers. */
const harmless = new Set([
  'tag: other bytes',
  'tag: a byte at a time, of as many as there are',
  'referrers: 400',
  'referrers: a page of HTML',
  'referrers: JSON that is no object',
  'referrers: JSON of a million brackets',
])

/** What a liar may make us do for one copy: nothing is asked for ever, and nothing is read without an end. */
const maxAsked = 250
const maxSent = 24 * 1024 * 1024

for (const place of ['tag', 'manifest', 'blob', 'referrers'] as const)
  describe(`a copy of what is answered with a lie where it asks for a ${place}`, { concurrency: 24 }, () => {
    let to: OwnPlace
    before(async () => {
      to = await openOwnPlace()
    })
    after(() => to[Symbol.asyncDispose]())

    for (const [what, form] of Object.entries(forms)) {
      const name = `${place}: ${what}`
      const target = `copies/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
      it(name, async () => {
        await using liar = await Liar.start(name, (asked, ...rest) =>
          [place, 'other'].includes(asked.place) ? form(asked, ...rest) : false,
        )
        const failure = await copyFrom(liar, to.own, target)
        assert.equal(failure === undefined, harmless.has(name), failure?.message)
        if (failure !== undefined) assertSentence(failure.message, liar)
        const tags = await assertSound(to.own.repository(parseRepositoryName(target)))
        assert.deepEqual(tags, failure === undefined ? ['1'] : [])
        assert.ok(liar.asked.length <= maxAsked, `${liar.asked.length} questions`)
        assert.ok(liar.sent <= maxSent, `${liar.sent} bytes`)
      })
    }
  })
