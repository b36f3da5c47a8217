import * as z from 'zod'
import { layerSettings } from './layer-settings.ts'

export const importerSettings = z.strictObject({
  pool: z
    .string()
    .min(1)
    .optional()
    .describe('ZFS pool (or dataset) for chains and clones, such as tank. Without it they are directories.'),
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
  layers: layerSettings,
})
