import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { startRegistry as serveConfigured } from '../../../src/cli/registry/start-registry.ts'
import { loadConfig } from '../../../src/config.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import type { Digest } from '../../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { type Answer, RegistryClient } from '../../support/registry-client.ts'
import { simpleSigningPayload } from '../../support/sigstore.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { testLog } from '../../support/test-logs.ts'
import { startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'
import { ecKeyPair } from '../../support/x509.ts'

describe('a trust policy on copies of an upstream', { timeout: 60_000 }, () => {
  const keys = ecKeyPair()
  let stack: AsyncDisposableStack
  let source: TrustRegistry
  let upstream: CountedUpstream
  let client: RegistryClient

  for (const store of [true, false])
    describe(store ? 'that are kept' : 'that are not kept', () => {
      beforeEach(async () => {
        stack = new AsyncDisposableStack()
        const { path } = stack.use(await temporaryDirectory())
        source = stack.use(await startTrustRegistry())
        upstream = stack.use(await countUpstream(source.url))
        const { config } = loadConfig({
          environment: {},
          flags: {
            data: path,
            'registry.address': '127.0.0.1:0',
            'registry.metricsAddress': 'off',
            upstreams: [{ name: 'there', registry: upstream.host, prefix: 'hub', store, absentSeconds: 0 }],
          },
        })
        client = new RegistryClient(stack.use(await serveConfigured(config, testLog())).url)
        const metadata = stack.use(await openSqliteMetadata(join(path, 'registry', 'varve.db')))
        const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' })
        const require = [{ cosign: { keys: [publicKey] } }]
        const policy = { name: 'signed', images: '**', appliesTo: 'everybody', require }
        await metadata.createTenant({
          name: parseTenantName('hub'),
          visibility: 'public',
          trustPolicy: JSON.stringify(policy),
        })
      })
      afterEach(() => stack.disposeAsync())

      const pull = (reference: string): Promise<Answer> =>
        client.send('GET', `/v2/hub/app/manifests/${reference}`)

      async function signed(image: Digest, { privateKey } = keys): Promise<void> {
        const payload = simpleSigningPayload(image)
        const signature = sign('sha256', payload, privateKey).toString('base64')
        await source.putCosign('app', image, [
          { payload, annotations: { 'dev.cosignproject.cosign/signature': signature } },
        ])
      }

      it('refuses what upstream has no signature of', async () => {
        await source.putImage('app', 'unsigned', '1')
        const answer = await pull('1')
        assert.equal(answer.status, 403)
        assert.match(answer.bytes.toString(), /it has no signature/)
      })

      it('lets through what upstream has a good signature of, and nothing that only looks so', async () => {
        const image = await source.putImage('app', 'signed', '1')
        await signed(image)
        assert.equal((await pull('1')).status, 200)
        assert.equal((await pull(image)).status, 200)
        const other = await source.putImage('app', 'signed by somebody else', '2')
        await signed(other, ecKeyPair())
        assert.equal((await pull('2')).status, 403)
      })

      it('trusts nothing because upstream cannot be asked', async () => {
        const image = await source.putImage('app', 'signed', '1')
        await signed(image)
        upstream.answers = ({ url = '' }, response) => {
          if (!url.includes('sha256-')) return false
          response.writeHead(503).end()
          return true
        }
        assert.equal((await pull('1')).status, 503)
      })
    })
})
