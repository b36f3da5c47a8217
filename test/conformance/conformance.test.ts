import { startRegistry } from '../support/registry.ts'
import { conformanceProgramSuite } from './program-suite.ts'

conformanceProgramSuite(() => startRegistry())
