import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureGoProgram, skipWithoutGo } from './go.ts'
import { exec } from './process.ts'

export const cosignModule = ['github.com/sigstore/cosign/v3/cmd/cosign', 'v3.0.6'] as const
export const notationModule = ['github.com/notaryproject/notation/cmd/notation', 'v1.3.2'] as const

/** For `skip` of a suite. */
export async function skipWithoutSigners(): Promise<string | false> {
  return await skipWithoutGo(cosignModule, notationModule)
}

/** cosign and notation with keys of their own, for registries without TLS. Images are written `host/repository@digest`. */
export interface Signers {
  /** PEM, of cosign. */
  readonly publicKey: string
  readonly cosign: Signer<'tag' | 'bundle'>
  readonly notation: Signer<'jws' | 'cose'>
}

export interface Signer<Form extends string> {
  sign(image: string, form: Form): Promise<void>
  /** @throws Error with what the program says against it. */
  verify(image: string, form: Form): Promise<void>
}

const authority = 'acme.example'

/** @param home exists; keys and what the programs note are kept in it. */
export async function createSigners(home: string): Promise<Signers> {
  const cosignProgram = await ensureGoProgram(...cosignModule)
  const notationProgram = await ensureGoProgram(...notationModule)
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: home,
    DOCKER_CONFIG: home,
    COSIGN_PASSWORD: 'of the test',
    COSIGN_YES: 'true',
  }
  const cosign = (...args: readonly string[]) => exec(cosignProgram, args, { env, cwd: home })
  const notation = (...args: readonly string[]) => exec(notationProgram, args, { env, cwd: home })
  await cosign('generate-key-pair')
  await notation('cert', 'generate-test', '--default', authority)
  await writeFile(join(home, 'notation', 'trustpolicy.json'), JSON.stringify(trustPolicy), { mode: 0o600 })
  const newBundle = (form: 'tag' | 'bundle') => `--new-bundle-format=${form === 'bundle'}`
  return {
    publicKey: await readFile(join(home, 'cosign.pub'), 'utf8'),
    cosign: {
      sign: async (image, form) => {
        const offline = ['--tlog-upload=false', '--use-signing-config=false', '--allow-http-registry']
        await cosign('sign', '--key', 'cosign.key', ...offline, newBundle(form), image)
      },
      verify: async (image, form) => {
        const offline = ['--insecure-ignore-tlog', '--allow-http-registry']
        await cosign('verify', '--key', 'cosign.pub', ...offline, newBundle(form), image)
      },
    },
    notation: {
      sign: async (image, form) => {
        // By the API for referrers where there is one; it takes the tag for them everywhere unless it is told.
        const where = ['--insecure-registry', '--force-referrers-tag=false']
        await notation('sign', ...where, '--signature-format', form, image)
      },
      // It finds them all, and one that is right is enough.
      verify: async image => {
        await notation('verify', '--insecure-registry', image)
      },
    },
  }
}

/** Trust stores and policies: notaryproject/specifications, trust-store-trust-policy.md. */
const trustPolicy = {
  version: '1.0',
  trustPolicies: [
    {
      name: 'of-the-test',
      registryScopes: ['*'],
      signatureVerification: { level: 'strict' },
      trustStores: [`ca:${authority}`],
      trustedIdentities: ['*'],
    },
  ],
}
