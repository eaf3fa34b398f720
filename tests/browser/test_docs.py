"""The description of the API can be read and tried out, offline and under the strict policy of all pages: a visitor notes every
violation of the policy and every request that would leave the server."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor
from .launching import BrowserKind


@pytest.mark.parametrize("kind", BrowserKind)
async def test_the_api_is_read_and_tried_out(server: RunningServer, visit: OpenVisitor, kind: BrowserKind) -> None:
    visitor = await visit(kind, server)
    page = visitor.page
    answer = await page.goto("/api/docs")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    await expect(page.get_by_role("heading", name="Weltenstimme")).to_be_visible()

    await page.get_by_role("button", name="Authorize").first.click()
    # Typed, as people do: Swagger UI does not hear of a value that is put there in one go by a driver of Firefox.
    await page.locator(".auth-container input").press_sequentially(server.api_token)
    await page.locator(".auth-container input").press("Enter")
    await expect(page.locator(".auth-container")).to_contain_text("Authorized")
    await page.locator(".auth-btn-wrapper .btn-done").click()

    operation = page.locator("#operations-admin-admin_voice_calls")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.locator("select").first.select_option("energie")
    async with page.expect_response("**/api/admin/voice-calls/energie") as tried:
        await operation.get_by_role("button", name="Execute").click()
    response = await tried.value
    assert response.status == 200
    assert (await response.json())["total_active_calls"] == 0
    await expect(operation.locator(".live-responses-table")).to_contain_text("total_active_calls")
