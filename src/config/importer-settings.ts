import * as z from 'zod'
import { agentServerSettings } from './agent-settings.ts'
import { credentialsSettings } from './credentials-settings.ts'
import { flag, list } from './kinds.ts'
import { layerSettings } from './layer-settings.ts'
import { smartosSettings } from './smartos-settings.ts'
import { pruneSettings } from './prune-settings.ts'
import { preimportSettings } from './preimport-settings.ts'

export const importerSettings = z.strictObject({
  pool: z
    .string()
    .min(1)
    .optional()
    .describe('ZFS pool (or dataset) for chains and clones, such as tank. Without it they are directories.'),
  pools: list().describe(
    'Pools of an agent that has several; a request names one (pool), else it is the first. importer.pool, where given, comes before these.',
  ),
  chains: z
    .string()
    .optional()
    .describe('Directory for chains and clones where there is no pool; default <data>/chains.'),
  socket: z.string().optional().describe('Unix socket of the agent; default <data>/agent.sock.'),
  platform: z.string().default('linux/amd64').describe('Which platform of a multi-platform image is taken.'),
  plainHttp: z
    .string()
    .default('')
    .describe('Registries (host:port, comma-separated) to speak plain HTTP to; loopback always is.'),
  credentials: credentialsSettings,
  dockerConfigFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Docker's config.json: its credentials are used for what none of importer.credentials fits. Read again when it changes.",
    ),
  credentialHelpers: flag()
    .default(false)
    .describe(
      "Whether the programs are run that docker's file names for its credentials (credHelpers, credsStore).",
    ),
  preimport: preimportSettings,
  layers: layerSettings,
  smartos: smartosSettings,
  prune: pruneSettings,
  agent: agentServerSettings,
})
