import * as z from 'zod'
import {
  accountField,
  actionsField,
  descriptionField,
  momentField,
  patternField,
  roleField,
  scopesField,
  tenantField,
  userField,
} from '../fields.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import {
  accountView,
  callerView,
  credentialView,
  listingOf,
  newRobotView,
  newTokenView,
  newUserView,
  passwordView,
} from '../views.ts'

const password = z.string().min(1).max(1024)
const expiry = momentField.nullable().exactOptional().describe('Null: never.')
const changeable = {
  description: descriptionField.exactOptional(),
  isAdmin: z.boolean().exactOptional().describe('Whether the user may do everything.'),
  isDisabled: z.boolean().exactOptional(),
  expiresAt: expiry.describe('When the user counts as disabled; null: never.'),
}
/** A robot's name without its tenant. */
const robotPart = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, 'lower-case letters, digits, and . _ - between them')
  .describe('What comes after the + in its name.')
const inTenant = { tenant: tenantField }

/** Users, robots and their tokens. */
export const accountOperations = {
  whoami: adminEndpoint({
    method: 'GET',
    path: '/api/v1/whoami',
    summary: 'Who the caller is, and what it is a member of.',
    resource: 'account',
    input: z.strictObject({}),
    output: callerView,
    status: 200,
  }),
  'user.create': adminEndpoint({
    method: 'POST',
    path: '/api/v1/users',
    summary: 'Makes a user. A password is made and told once, unless one is given, or null for none.',
    resource: 'account',
    input: z.strictObject({ name: userField, password: password.nullable().exactOptional(), ...changeable }),
    output: newUserView,
    status: 201,
    location: ({ account }) => `/api/v1/users/${encodeURIComponent(account.name)}`,
    failures: ['already_exists account'],
  }),
  'user.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/users',
    summary: 'Users by name.',
    resource: 'account',
    input: z.strictObject(pageFields),
    output: listingOf(accountView),
    status: 200,
  }),
  'user.get': adminEndpoint({
    method: 'GET',
    path: '/api/v1/users/:user',
    summary: 'A user.',
    resource: 'account',
    input: z.strictObject({ user: userField }),
    output: accountView,
    status: 200,
  }),
  'user.update': adminEndpoint({
    method: 'PATCH',
    path: '/api/v1/users/:user',
    summary: 'Changes what is given. Nobody can take the own rights away.',
    resource: 'account',
    input: z.strictObject({ user: userField, ...changeable }),
    output: accountView,
    status: 200,
    failures: ['conflict account'],
  }),
  'user.delete': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/users/:user',
    summary: 'Deletes a user with its memberships, grants and tokens.',
    resource: 'account',
    input: z.strictObject({ user: userField }),
    output: nothing,
    status: 204,
    failures: ['conflict account'],
  }),
  'user.password': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/users/:user/password',
    summary:
      'Sets a password: the own one with the present one, or by an admin. Made and told once unless given.',
    resource: 'account',
    input: z.strictObject({
      user: userField,
      password: password.exactOptional(),
      current: password.exactOptional().describe('The present password of whoever changes the own one.'),
    }),
    output: passwordView,
    status: 200,
  }),
  'robot.create': adminEndpoint({
    method: 'POST',
    path: '/api/v1/tenants/:tenant/robots',
    summary: 'Makes a robot, a member or with grants, and its first token, which is told once.',
    resource: 'account',
    input: z.strictObject({
      ...inTenant,
      name: robotPart,
      role: roleField.exactOptional().describe('It becomes a member with this role.'),
      grants: z
        .array(z.strictObject({ pattern: patternField, actions: actionsField }))
        .max(20)
        .exactOptional(),
      description: descriptionField.exactOptional(),
      expiresAt: expiry.describe('When the robot, with all its tokens, counts as disabled; null: never.'),
    }),
    output: newRobotView,
    status: 201,
    failures: ['already_exists account', 'conflict grant'],
  }),
  'robot.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/robots',
    summary: 'Robots of a tenant by name.',
    resource: 'account',
    input: z.strictObject({ ...inTenant, ...pageFields }),
    output: listingOf(accountView),
    status: 200,
  }),
  'robot.delete': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant/robots/:robot',
    summary: 'Deletes a robot with its tokens.',
    resource: 'account',
    input: z.strictObject({ ...inTenant, robot: robotPart }),
    output: nothing,
    status: 204,
  }),
  'token.create': adminEndpoint({
    method: 'POST',
    path: '/api/v1/accounts/:account/tokens',
    summary: 'Makes an API token for oneself or for a robot; it is told once.',
    resource: 'credential',
    input: z.strictObject({
      account: accountField,
      description: descriptionField.exactOptional(),
      scopes: scopesField.exactOptional(),
      expiresAt: expiry,
    }),
    output: newTokenView,
    status: 201,
    location: ({ credential: { account, id } }) =>
      `/api/v1/accounts/${encodeURIComponent(account)}/tokens/${id}`,
    failures: ['not_found account', 'conflict credential'],
  }),
  'token.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/accounts/:account/tokens',
    summary: 'API tokens of an account, newest first, without what opens them.',
    resource: 'credential',
    input: z.strictObject({ account: accountField }),
    output: listingOf(credentialView),
    status: 200,
  }),
  'token.revoke': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/accounts/:account/tokens/:token',
    summary: 'Ends an API token, and what was got by it.',
    resource: 'credential',
    input: z.strictObject({ account: accountField, token: z.string().max(64) }),
    output: nothing,
    status: 204,
  }),
} as const
