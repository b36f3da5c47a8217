/** Signatures by cosign and notation themselves. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/storage/digest.ts'
import { ensureGoProgram } from '../../support/go.ts'
import { exec } from '../../support/process.ts'
import { cosignModule, notationModule, skipWithoutSigners } from '../../support/signers.ts'
import {
  keylessAnnotations,
  keylessBundle,
  SigstoreLab,
  simpleSigningPayload,
  statement,
} from '../../support/sigstore.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'

const skip = await skipWithoutSigners()

const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json'

describe('Signatures by the real programs', { skip }, () => {
  let registry: TrustRegistry
  let home: TemporaryDirectory
  let cosign: (...args: readonly string[]) => Promise<string>
  let notation: (...args: readonly string[]) => Promise<string>
  let publicKey: string

  before(async () => {
    registry = await startTrustRegistry()
    home = await temporaryDirectory()
    const programs = [
      await ensureGoProgram(...cosignModule),
      await ensureGoProgram(...notationModule),
    ] as const
    const env = {
      HOME: home.path,
      XDG_CONFIG_HOME: home.path,
      DOCKER_CONFIG: home.path,
      COSIGN_PASSWORD: 'of the test',
      COSIGN_YES: 'true',
    }
    cosign = (...args) => exec(programs[0], args, { env, cwd: home.path })
    notation = (...args) => exec(programs[1], args, { env, cwd: home.path })
    await cosign('generate-key-pair')
    publicKey = await readFile(join(home.path, 'cosign.pub'), 'utf8')
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await home.remove()
  })

  const signWithKey = (image: string, ...args: readonly string[]) =>
    cosign(
      'sign',
      '--key',
      'cosign.key',
      '--tlog-upload=false',
      '--use-signing-config=false',
      '--allow-http-registry',
      ...args,
      image,
    )
  const imageIn = async (policy: object, text: string): Promise<readonly [string, Digest]> => {
    const repository = `${await registry.tenantWith({ images: '**', ...policy })}/app`
    return [repository, await registry.putImage(repository, text)]
  }
  const keys = () => ({ require: [{ cosign: { keys: [publicKey] } }] })

  for (const [what, flag] of [
    ['in a tag, as cosign 2 keeps them', '--new-bundle-format=false'],
    ['in a bundle, as cosign 3 keeps them', '--new-bundle-format=true'],
  ] as const)
    it(`cosign with a key, ${what}`, async () => {
      const [repository, digest] = await imageIn(keys(), what)
      assert.match((await registry.pull(repository, digest)).message, /it has no signature/)
      await signWithKey(`${registry.host}/${repository}@${digest}`, flag)
      const { status, message } = await registry.pull(repository, digest)
      assert.equal(status, 200, message)
      assert.match(
        await cosign(
          'verify',
          '--key',
          'cosign.pub',
          '--insecure-ignore-tlog',
          '--allow-http-registry',
          flag,
          `${registry.host}/${repository}@${digest}`,
        ),
        /critical|\[/,
      )
    })

  it('cosign with keys of every kind that it takes', async () => {
    for (const [name, options] of [
      ['p384', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp384r1']],
      ['p521', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp521r1']],
      ['rsa', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
      ['ed25519', ['-algorithm', 'ed25519']],
    ] as const) {
      const file = join(home.path, `${name}.pem`)
      await exec('openssl', ['genpkey', ...options, '-out', file])
      const pem = await exec('openssl', ['pkey', '-in', file, '-pubout'])
      await cosign('import-key-pair', '--key', file, '--output-key-prefix', name)
      for (const flag of ['--new-bundle-format=false', '--new-bundle-format=true']) {
        const [repository, digest] = await imageIn(
          { require: [{ cosign: { keys: [publicKey, pem] } }] },
          flag,
        )
        const image = `${registry.host}/${repository}@${digest}`
        await cosign(
          'sign',
          '--key',
          `${name}.key`,
          '--tlog-upload=false',
          '--use-signing-config=false',
          '--allow-http-registry',
          flag,
          image,
        )
        const { status, message } = await registry.pull(repository, digest)
        if (name === 'ed25519') assert.match(message, /prehashed Ed25519/)
        else assert.equal(status, 200, `${name} ${flag}: ${message}`)
      }
    }
  })

  it('cosign of an index counts for its images, and of all images for the index', async () => {
    const [repository] = await imageIn(keys(), 'unused')
    const children = [
      await registry.putImage(repository, 'amd64'),
      await registry.putImage(repository, 'arm64'),
    ]
    const index = await registry.putIndex(repository, children, 'latest')
    for (const digest of [index, ...children])
      assert.equal((await registry.pull(repository, digest)).status, 403)
    await signWithKey(`${registry.host}/${repository}@${index}`)
    for (const digest of [index, ...children, 'latest'])
      assert.equal((await registry.pull(repository, digest)).status, 200)
    const others = [
      await registry.putImage(repository, 's390x'),
      await registry.putImage(repository, 'riscv'),
    ]
    const other = await registry.putIndex(repository, others)
    for (const [count, child] of others.entries()) {
      assert.equal((await registry.pull(repository, other)).status, 403, `with ${count} signed`)
      await signWithKey(`${registry.host}/${repository}@${child}`)
    }
    assert.equal((await registry.pull(repository, other)).status, 200)
  })

  it('cosign attestations are no signatures', async () => {
    const [repository, digest] = await imageIn(keys(), 'attested')
    await writeFile(join(home.path, 'predicate.json'), '{"found":"nothing good"}')
    await cosign(
      'attest',
      '--key',
      'cosign.key',
      '--tlog-upload=false',
      '--use-signing-config=false',
      '--allow-http-registry',
      '--new-bundle-format=true',
      '--type',
      'custom',
      '--predicate',
      'predicate.json',
      `${registry.host}/${repository}@${digest}`,
    )
    assert.match((await registry.pull(repository, digest)).message, /an attestation and no signature/)
  })

  it('readers can have the signatures, to verify them themselves', async () => {
    const [repository, digest] = await imageIn(keys(), 'to verify')
    await signWithKey(`${registry.host}/${repository}@${digest}`, '--new-bundle-format=false')
    await signWithKey(`${registry.host}/${repository}@${digest}`, '--new-bundle-format=true')
    const { referrers } = await registry.metadata.listReferrers(repository as never, digest, {
      artifactTypes: [],
      maxBytes: 10_000,
    })
    assert.equal(referrers.length, 1)
    for (const reference of [`${digest.replace(':', '-')}.sig`, ...referrers.map(one => one.digest)])
      assert.equal((await registry.pull(repository, reference)).status, 200, reference)
  })

  it('cosign takes what the keyless tests here sign', async () => {
    const lab = new SigstoreLab()
    const [repository, digest] = await imageIn(keys(), 'keyless')
    await writeFile(join(home.path, 'root.json'), JSON.stringify(lab.trustedRoot()))
    const verify = (flag: string) =>
      cosign(
        'verify',
        flag,
        '--offline',
        '--allow-http-registry',
        '--trusted-root',
        'root.json',
        '--certificate-oidc-issuer',
        'https://ci.example',
        '--certificate-identity',
        'https://ci.example/acme/app/release.yml@refs/tags/v1',
        `${registry.host}/${repository}@${digest}`,
      )
    const bytes = Buffer.from(JSON.stringify(keylessBundle(lab, lab.certify(), statement(digest))))
    await registry.putReferrer(repository, digest, { artifactType: bundleType, layerType: bundleType, bytes })
    assert.match(await verify('--new-bundle-format=true'), /critical/)
    const payload = simpleSigningPayload(digest)
    await registry.putCosign(repository, digest, [
      { payload, annotations: keylessAnnotations(lab, lab.certify(), payload) },
    ])
    assert.match(await verify('--new-bundle-format=false'), /critical/)
  })

  describe('notation', () => {
    let certificate: string
    before(async () => {
      await notation('cert', 'generate-test', '--default', 'acme.example')
      const keysDirectory = join(home.path, 'notation', 'localkeys')
      const file = (await readdir(keysDirectory)).find(name => name.endsWith('.crt')) ?? ''
      certificate = await readFile(join(keysDirectory, file), 'utf8')
    })
    const policy = (...subjects: readonly string[]) => ({
      require: [{ notation: { certificates: [certificate], subjects } }],
    })
    const signAs = (image: string, ...args: readonly string[]) =>
      notation('sign', '--insecure-registry', ...args, image)

    it('with a certificate that the policy names', async () => {
      const [repository, digest] = await imageIn(policy('x509.subject: C=US, ST=WA, O=Notary'), 'notation')
      assert.equal((await registry.pull(repository, digest)).status, 403)
      await signAs(`${registry.host}/${repository}@${digest}`, '--expiry', '24h')
      const { status, message } = await registry.pull(repository, digest)
      assert.equal(status, 200, message)
    })

    it('of a subject that the policy does not name', async () => {
      const [repository, digest] = await imageIn(policy('C=US, O=Acme', 'CN=*.example.com'), 'other subject')
      await signAs(`${registry.host}/${repository}@${digest}`)
      const { status, message } = await registry.pull(repository, digest)
      assert.equal(status, 403)
      assert.match(message, /is by C=US, ST=WA.*whom the policy does not name/)
    })

    it('in COSE, which is refused with the way out', async () => {
      const [repository, digest] = await imageIn(policy('*'), 'cose')
      await signAs(`${registry.host}/${repository}@${digest}`, '--signature-format', 'cose')
      assert.match((await registry.pull(repository, digest)).message, /--signature-format jws/)
    })

    it('is not asked for where cosign is', async () => {
      const [repository, digest] = await imageIn(keys(), 'wrong kind')
      await signAs(`${registry.host}/${repository}@${digest}`)
      assert.match(
        (await registry.pull(repository, digest)).message,
        /a kind that the policy does not ask for/,
      )
    })
  })
})
