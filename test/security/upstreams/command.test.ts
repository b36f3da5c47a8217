import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { actingCharacters } from '../../../src/acting-characters.ts'
import { addressSecret, evilText, forms } from '../../support/hostile/forms.ts'
import { Liar } from '../../support/hostile/liar.ts'
import { assertNoSecret } from '../../support/hostile/stores.ts'
import { runVarve } from '../../support/run-varve.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** Of those that need no patience. */
const chosen = [
  'other bytes',
  '400',
  '401 for ever',
  '429 for ten years',
  'a redirect to a file',
  'endless headers',
]

describe('varve copy, from a registry that lies', { concurrency: 2 }, () => {
  const stack = new AsyncDisposableStack()
  let directory = ''
  before(async () => {
    directory = stack.use(await temporaryDirectory()).path
  })
  after(() => stack.disposeAsync())

  for (const what of chosen)
    for (const json of [true, false])
      it(`says so in one line, which names it and does nothing to a terminal: ${what}${json ? ', as JSON' : ''}`, async () => {
        const form = forms[what] ?? assert.fail(what)
        await using liar = await Liar.start(what, (asked, ...rest) =>
          asked.place === 'manifest' ? form(asked, ...rest) : false,
        )
        const place = `oci:${directory}/${what.replaceAll(' ', '-')}-${json}`
        const { code, stdout, stderr } = await runVarve([
          ...['copy', `${liar.host}/team/app:1`, place],
          ...(json ? ['--json'] : []),
        ])
        assert.notEqual(code, 0)
        const lines = stderr.trimEnd().split('\n')
        assert.equal(lines.length, 1, stderr)
        assert.ok(lines[0]?.includes(liar.host), stderr)
        assert.doesNotMatch((stdout + stderr).replaceAll('\n', ''), actingCharacters)
        assertNoSecret(stdout + stderr, addressSecret)
        assert.ok(!(stdout + stderr).includes(evilText))
      })
})
