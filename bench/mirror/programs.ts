import { ensureGoProgram } from '../../test/support/go.ts'
import { ensurePrograms } from '../../test/support/programs.ts'

export interface Programs {
  readonly regsync: string
  readonly crane: string
}

/** What Varve is compared with. */
export async function ensureMirrorPrograms(): Promise<Programs> {
  await ensurePrograms('docker-registry', 'skopeo')
  return {
    regsync: await ensureGoProgram('github.com/regclient/regclient/cmd/regsync', 'v0.11.7'),
    crane: await ensureGoProgram('github.com/google/go-containerregistry/cmd/crane', 'v0.22.1'),
  }
}
