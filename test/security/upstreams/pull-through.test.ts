import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { forms } from '../../support/hostile/forms.ts'
import { Liar } from '../../support/hostile/liar.ts'
import { assertNoSecret, assertSound, ownRegistryIn, quickRemote } from '../../support/hostile/stores.ts'
import { promisedDigest, pullAll } from '../../support/hostile/victims.ts'
import { keepLog } from '../../support/log-lines.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'

const away = 'The registry that this is a copy of cannot be asked now; try again later.'
const places = ['tag', 'manifest', 'blob', 'tags', 'referrers'] as const

for (const place of places)
  describe(`pull-through of what is answered with a lie where a ${place} is asked for`, {
    concurrency: 24,
  }, () => {
    const cases = Object.entries(forms).map(([what, form], index) => ({
      name: `${place}: ${what}`,
      form,
      upstream: `${place}-${index}`,
    }))
    const stack = new AsyncDisposableStack()
    const liars = new Map<string, Liar>()
    const kept = keepLog()
    let url = ''
    let own: OwnRegistry
    before(async () => {
      for (const { name, form, upstream } of cases)
        liars.set(
          upstream,
          stack.use(
            await Liar.start(name, (asked, ...rest) =>
              [place, 'other'].includes(asked.place) ? form(asked, ...rest) : false,
            ),
          ),
        )
      const upstreams = [...liars].map(([name, { host: registry }]) => ({ name, registry, prefix: name }))
      const registry = stack.use(await startPullThrough({ upstreams, remote: quickRemote, log: kept.log }))
      url = registry.url
      own = await ownRegistryIn(registry.directory, registry.metadata)
    })
    after(() => stack.disposeAsync())

    for (const { name, upstream } of cases)
      it(name, async () => {
        const liar = liars.get(upstream)
        assert.ok(liar)
        const repository = `${upstream}/team/app`
        for (const answer of await pullAll(url, repository, liar)) {
          const { path, status, bytes } = answer
          const about = `${path}: ${status} ${bytes?.subarray(0, 600).toString()}`
          assertNoSecret(about)
          if (status >= 400) {
            assert.ok([404, 429, 503].includes(status), about)
            if (path.startsWith('HEAD') || bytes === undefined) continue
            const { errors } = JSON.parse(bytes.toString()) as { errors: { message: string }[] }
            assert.equal(errors.length, 1, about)
            const message = errors[0]?.message ?? ''
            assert.match(message, /^[^\p{Cc}\p{Cf}]{1,1500}[.?]$/u)
            // What has gone wrong elsewhere is for the log.
            assert.ok(message.includes(upstream) || message === away, message)
          } else {
            assert.equal(status, 200, about)
            const promised = promisedDigest(answer)
            if (path.startsWith('HEAD') || bytes === undefined) continue
            if (promised !== undefined) assert.equal(digestOf(bytes), promised, about)
            if (path === 'GET manifests/1') assert.equal(promised, liar.image.index.digest)
          }
        }
        await assertSound(own.repository(parseRepositoryName(repository)), true)
        assert.ok(liar.asked.length <= 250, `${liar.asked.length} questions`)
        assert.ok(liar.sent <= 64 * 1024 * 1024, `${liar.sent} bytes`)
      })

    it('logs no secret, and by name who has lied', () => {
      assertNoSecret(kept.text())
      for (const line of kept.lines().filter(({ error }) => error !== undefined)) {
        assert.match(JSON.stringify(line), /"type":"DomainError"|broke|aborted/)
        assert.match(JSON.stringify(line), new RegExp(`${place}-\\d|127\\.0\\.0\\.1`))
      }
    })
  })
