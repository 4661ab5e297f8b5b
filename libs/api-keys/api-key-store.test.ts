import { apiKeyStoreContract } from './api-key-store.contract.js';
import { FakeApiKeyStore } from './fake-api-key-store.js';

apiKeyStoreContract('in memory', async () => {
  const fake = new FakeApiKeyStore();
  return { store: fake, directory: fake, createTenant: async (tenant) => { fake.tenants.add(tenant); }, deleteTenant: async (tenant) => { fake.drop(tenant); }, close: async () => undefined };
});
