/** Pools as the agent has them, where chains are directories. */
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createAgentMetrics } from '../../src/metrics/agent-metrics.ts'
import { directoryPool, poolToOpen } from '../../src/cli/open-pool.ts'
import { createSharedParts } from '../../src/cli/shared-parts.ts'
import { loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/log.ts'
import { rejectsWith } from '../support/rejects.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const skip = process.getuid?.() === 0 ? false : 'chains need root'

describe('A pool of the agent', { skip }, () => {
  it('does not answer while its directory is gone', async () => {
    await using directory = await temporaryDirectory()
    const [here, elsewhere] = [join(directory.path, 'chains'), join(directory.path, 'elsewhere')]
    const { config } = loadConfig({ flags: { data: join(directory.path, 'data'), 'importer.chains': here } })
    await using shared = createSharedParts(config)
    const parts = {
      config,
      shared,
      metrics: createAgentMetrics(() => Promise.resolve([])),
      log: createLogger({ level: 'silent' }),
    }
    await using pool = await poolToOpen(directoryPool, { directory: here }, parts).open({})
    await pool.check()
    await rename(here, elsewhere)
    const { message } = await rejectsWith('unavailable', pool.check())
    assert.match(message, /records of directory .*chains.* \(ENOENT\)/)
    await rename(elsewhere, here)
    await pool.check()
  })
})
