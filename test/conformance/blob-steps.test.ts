import { startRegistry } from '../support/registry.ts'
import { blobStepSuite } from './blob-step-suite.ts'

blobStepSuite(() => startRegistry())
